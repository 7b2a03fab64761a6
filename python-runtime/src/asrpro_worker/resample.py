"""Converts decoded frames of one format to mono, 16 kHz, 16 bit.

PyAV counts the planes of a frame up to the first null pointer. A frame with eight planes has none, and reading the
ninth crashes the process. So samples are read only after libswresample has interleaved them into one plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from asrpro_worker.downmix import Downmix
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Samples of each channel that are processed at once. Frames have about 1000; with 64 channels this is 4 MB.
_BLOCK = 16_384
# Formats with at most 16 bits: the mixture is rounded to 16 bits as libswresample does.
_SHORT = ("u8", "u8p", "s16", "s16p")

# Full scale is 1. Larger values are no sound, and their squares may overflow float32.
_MAX_LEVEL = 1e6


class Resampler:
    """Takes frames of the format of `first`. Frames with a single channel are only resampled."""

    def __init__(self, first: AudioFrame) -> None:
        self._format = first.format.name
        self._is_float = self._format.startswith(("flt", "dbl"))
        self._rate = first.sample_rate
        self._channels = first.layout.nb_channels
        self._gathered = AudioFifo()
        self._to_float = AudioResampler(format="flt")
        self._downmix = Downmix([channel.name for channel in first.layout.channels], self._rate)
        self._to_rate = AudioResampler(format="s16", layout="mono", rate=RATE)

    def add(self, frame: AudioFrame) -> bool:
        """Add a frame; True if a block is complete and should be taken."""
        self._gathered.write(frame)
        return self._gathered.samples >= _BLOCK

    def take(self) -> NDArray[np.int16]:
        """The converted samples so far, except for the last milliseconds, which need the following samples."""
        frame = self._gathered.read()
        if frame is None:
            return np.empty(0, np.int16)
        mono = self._mixed(frame) if self._channels > 1 else self._finite(frame)
        return _joined(self._to_rate.resample(mono))

    def rest(self) -> NDArray[np.int16]:
        """The last milliseconds. No frame can be added afterwards."""
        return _joined(self._to_rate.resample(None))

    def _mixed(self, frame: AudioFrame) -> AudioFrame:
        samples = np.concatenate([_interleaved(part) for part in self._to_float.resample(frame)])
        if self._is_float:
            samples = _without_invalid(samples)
        mixed = self._downmix.mix(samples.reshape(-1, self._channels))
        if self._format in _SHORT:
            # A mixture is never louder than its loudest channel, so no clipping is needed.
            return _mono_frame(np.floor(mixed * 32768 + np.float32(0.5)).astype(np.int16), "s16", self._rate)
        return _mono_frame(mixed, "flt", self._rate)

    def _finite(self, frame: AudioFrame) -> AudioFrame:
        if not self._is_float:
            return frame
        samples = _interleaved(frame)
        clean = _without_invalid(samples)
        return frame if clean is samples else _mono_frame(clean, self._format, self._rate)


def _interleaved(frame: AudioFrame) -> NDArray[Any]:
    """The samples of a frame with a single plane, as (n * channels,)."""
    if frame.format.is_planar and frame.layout.nb_channels > 1:
        raise ValueError(f"{frame.format.name} of {frame.layout.nb_channels} channels has several planes")
    samples: NDArray[Any] = frame.to_ndarray().reshape(-1)
    return samples


def _without_invalid(samples: NDArray[Any]) -> NDArray[Any]:
    """Replace NaN, infinity and huge values of float files by 0: the filters would spread them over later samples."""
    if len(samples) == 0 or (samples.max() < _MAX_LEVEL and samples.min() > -_MAX_LEVEL):
        return samples
    return np.where(np.abs(samples) < _MAX_LEVEL, samples, samples.dtype.type(0))


def _mono_frame(samples: NDArray[Any], name: str, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples[np.newaxis], format=name, layout="mono")
    frame.sample_rate = rate
    return frame


def _joined(frames: list[AudioFrame]) -> NDArray[np.int16]:
    return np.concatenate([np.empty(0, np.int16), *(_interleaved(frame) for frame in frames)])
