"""Whisper's log-mel features of a piece, padded with the silence that the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.mel import mel_filters, power_spectrum
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP = RATE // 100
FRAMES = 3000
"""The longest window of the model, in frames of 10 ms."""

# Least silence after a piece, in frames. With 350 frames tiny.en begins to repeat itself (254 instead of 160 errors in
# 1462 words), with 500 it does not.
_SILENCE = 800
# Windows are rounded up to multiples of this, so that pieces of similar length can be encoded in one call.
_ROUND = 250

_FFT = 400
# The features span this many powers of ten below the maximum of the piece.
_RANGE = 8.0


class LogMel:
    """Computes features of shape (mels, window), float32."""

    def __init__(self, mels: int) -> None:
        self._filters = mel_filters(mels, _FFT)
        self._window = np.hanning(_FFT + 1)[:-1].astype(np.float32)

    def __call__(self, samples: NDArray[np.float32], window: int = FRAMES) -> NDArray[np.float32]:
        """The features of at most 30 s of samples in a window of `window` frames.

        The rest of the window is filled with the floor of the spectrum, which is silence. Other libraries fill it with
        0, which is noise in the middle of the range: of 251 short files, 17 then needed a second window instead of one.
        """
        frames = min(window, max(1, len(samples) // HOP))
        # As in training, the piece is preceded by its mirror image; zeros follow it.
        mirror = samples[1 : _FFT // 2 + 1][::-1]
        sound = np.concatenate([np.zeros(_FFT // 2 - len(mirror), np.float32), mirror, samples])
        power = power_spectrum(sound, self._window, HOP, frames)
        logarithm = np.log10(np.maximum(power @ self._filters.T, 1e-10)).T
        floor = logarithm.max() - _RANGE
        features = np.full((len(self._filters), window), (floor + 4.0) / 4.0, np.float32)
        features[:, :frames] = (np.maximum(logarithm, floor) + 4.0) / 4.0
        return features


def window_frames(samples: int) -> int:
    """The frames to encode for a piece. Short windows pay off: the encoder's time grows faster than the window."""
    return min(FRAMES, -(-(samples // HOP + _SILENCE) // _ROUND) * _ROUND)
