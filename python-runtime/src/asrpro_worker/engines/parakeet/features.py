"""NeMo's log-mel features, by the settings in a model's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.engines.mel import mel_filters
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Added to a power before its logarithm, and to a deviation that is divided by: NeMo's own.
_GUARD = 2.0**-24
_DEVIATION = 1e-5


class LogMel:
    """From samples to an array of shape (frames, mels), float32."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        width = int(settings["window_size"] * RATE)
        self._hop = int(settings["window_stride"] * RATE)
        self._fft = int(settings.get("n_fft") or 2 ** int(np.ceil(np.log2(width))))
        preemphasis = settings.get("preemph", 0.97)
        self._preemphasis = 0.0 if preemphasis is None else float(preemphasis)
        self._filters = mel_filters(int(settings["features"]), self._fft)
        before = (self._fft - width) // 2
        self._window = np.pad(np.hanning(width), (before, self._fft - width - before)).astype(np.float32)
        self.seconds: float = settings["window_stride"]

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each band has the mean 0 and the deviation 1 over the piece."""
        sound = samples.copy()
        sound[1:] -= self._preemphasis * samples[:-1]
        sound = np.pad(sound, self._fft // 2)
        frames = max(1, len(samples) // self._hop)
        sound = np.pad(sound, (0, max(0, (frames - 1) * self._hop + self._fft - len(sound))))
        windows = np.lib.stride_tricks.sliding_window_view(sound, self._fft)[:: self._hop][:frames]
        spectrum = np.fft.rfft(windows * self._window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        logarithm = np.log(power @ self._filters.T + np.float32(_GUARD))
        deviation = logarithm.std(axis=0, ddof=1) if frames > 1 else np.zeros(logarithm.shape[1], np.float32)
        normal: NDArray[np.float32] = (logarithm - logarithm.mean(axis=0)) / (deviation + np.float32(_DEVIATION))
        return normal
