"""NeMo's log-mel features with the settings of a model's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.engines.mel import mel_filters, power_spectrum
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# NeMo adds these to a power before taking its logarithm, and to a standard deviation before dividing by it.
_LOG_GUARD = 2.0**-24
_DEVIATION_GUARD = 1e-5


class LogMel:
    """Computes features of shape (frames, mels), float32."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        width = int(settings["window_size"] * RATE)
        self._hop = int(settings["window_stride"] * RATE)
        self._fft = int(settings.get("n_fft") or 2 ** int(np.ceil(np.log2(width))))
        preemphasis = settings.get("preemph", 0.97)
        self._preemphasis = 0.0 if preemphasis is None else float(preemphasis)
        self._filters = mel_filters(int(settings["features"]), self._fft)
        before = (self._fft - width) // 2
        self._window = np.pad(np.hanning(width), (before, self._fft - width - before)).astype(np.float32)
        self.frame_seconds: float = settings["window_stride"]

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of a piece; each mel band has mean 0 and standard deviation 1."""
        sound = samples.copy()
        sound[1:] -= self._preemphasis * samples[:-1]
        sound = np.pad(sound, self._fft // 2)
        frames = max(1, len(samples) // self._hop)
        power = power_spectrum(sound, self._window, self._hop, frames)
        logarithm = np.log(power @ self._filters.T + np.float32(_LOG_GUARD))
        deviation = logarithm.std(axis=0, ddof=1) if frames > 1 else np.zeros(logarithm.shape[1], np.float32)
        normal: NDArray[np.float32] = (logarithm - logarithm.mean(axis=0)) / (deviation + np.float32(_DEVIATION_GUARD))
        return normal
