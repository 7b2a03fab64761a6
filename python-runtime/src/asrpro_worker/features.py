"""Whisper's log-mel features of a file of any length, computed where they are looked at.

The whole spectrogram of an hour peaks at 2.75 GB when computed in one go. Whisper looks at 30 s at a time, and only one
number in its features depends on the whole file: the maximum of the log-mel spectrum. One pass over the PCM finds it;
after that each window is computed from the samples around it. The values differ from those of the extractor in one go
by at most one unit in the last place (1.2e-7).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from asrpro_worker.pcm import Pcm

# Zeros after the end, as the extractor adds them.
_PADDING = 160
# Frames of 10 ms for each step of the pass: a quarter of a minute, about 10 MB at work.
_BLOCK = 1500
# A file of so many frames, Whisper's window, is computed once and kept: 1 MB.
_KEPT = 3000
# The features span this many powers of ten below the maximum.
_RANGE = 8.0


class WindowedFeatures:
    """Stands for the array of shape (mels, frames), float32, of a faster-whisper `FeatureExtractor`.

    Knows `shape` and slices of frames, `[:, a:b]` and `[..., a:b]`; `[..., a:]` is such an object again. `visit` is
    called with the first frame of each slice and at each step of the pass, and may raise to stop.
    """

    def __init__(self, extractor: Any, pcm: Pcm, visit: Callable[[int], None]) -> None:
        self._extractor = extractor
        self._pcm = pcm
        self._visit = visit
        self._first = 0
        self._window = np.hanning(extractor.n_fft + 1)[:-1].astype(np.float32)
        frames = (pcm.samples + _PADDING) // extractor.hop_length
        self.shape = (len(extractor.mel_filters), frames)
        self._only: NDArray[np.float32] | None = None
        self._peak = self._find_peak()

    def __getitem__(self, key: tuple[Any, slice]) -> Any:
        start, stop, _ = key[1].indices(self.shape[1])
        if key[1].stop is None:
            rest = copy.copy(self)
            rest._first, rest.shape = self._first + start, (self.shape[0], self.shape[1] - start)  # noqa: SLF001
            return rest
        start, stop = start + self._first, stop + self._first
        self._visit(start)
        spectrum = self._log_mel(start, stop) if self._only is None else self._only[:, start:stop]
        return (np.maximum(spectrum, self._peak - _RANGE) + 4.0) / 4.0

    def _find_peak(self) -> float:
        if self.shape[1] <= _KEPT:
            self._visit(0)
            self._only = self._log_mel(0, self.shape[1])
            return float(self._only.max())
        peak = float("-inf")
        for start in range(0, self.shape[1], _BLOCK):
            self._visit(0)
            peak = max(peak, float(self._log_mel(start, min(start + _BLOCK, self.shape[1])).max()))
        return peak

    def _log_mel(self, start: int, stop: int) -> NDArray[np.float32]:
        """Log-mel spectrum of frames [start, stop). Frame i is centred at sample i * hop."""
        hop, half = self._extractor.hop_length, self._extractor.n_fft // 2
        first, last = start * hop - half, (stop - 1) * hop + half
        samples = self._pcm.read(first, last)
        # Before the file lies its mirror image, as the extractor pads it; after it zeros.
        mirror = self._pcm.read(1, 1 - first)[::-1] if first < 0 else samples[:0]
        padding = last - max(first, 0) - len(samples)
        samples = np.concatenate([mirror, samples, np.zeros(padding, np.float32)])
        stft = self._extractor.stft(
            samples, self._extractor.n_fft, hop, window=self._window, center=False, return_complex=True
        )
        magnitudes = np.abs(stft.astype(np.complex64)) ** 2
        mel: NDArray[np.float32] = self._extractor.mel_filters @ magnitudes
        return np.log10(np.clip(mel, a_min=1e-10, a_max=None))
