"""Mel filters and power spectra for the features of Whisper and Parakeet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Slaney's mel scale: linear with 3 mel per 200 Hz up to 1000 Hz, then logarithmic with 27 mel per factor of 6.4.
_HERTZ_PER_MEL = 200.0 / 3.0
_LOG_START = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def mel_filters(mels: int, fft: int) -> NDArray[np.float32]:
    """Triangular filters of equal area on the mel scale, shape (mels, fft / 2 + 1)."""
    log_start = _LOG_START / _HERTZ_PER_MEL
    top = log_start + np.log(RATE / 2 / _LOG_START) / _LOG_STEP
    scale = np.linspace(0.0, top, mels + 2)
    logarithmic = _LOG_START * np.exp(_LOG_STEP * (scale - log_start))
    corners = np.where(scale < log_start, scale * _HERTZ_PER_MEL, logarithmic)
    bins = np.linspace(0.0, RATE / 2, fft // 2 + 1)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (corners[2:] - corners[:-2]))[:, None]
    filters: NDArray[np.float32] = triangles.astype(np.float32)
    return filters


def power_spectrum(
    sound: NDArray[np.float32], window: NDArray[np.float32], hop: int, frames: int
) -> NDArray[np.float32]:
    """The power spectra of `frames` windows, one every `hop` samples, shape (frames, len(window) / 2 + 1).

    The sound is padded with zeros where it is too short.
    """
    sound = np.pad(sound, (0, max(0, (frames - 1) * hop + len(window) - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(sound, len(window))[::hop][:frames]
    spectrum = np.fft.rfft(windows * window, axis=1)
    power: NDArray[np.float32] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return power
