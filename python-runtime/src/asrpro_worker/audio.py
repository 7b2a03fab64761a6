"""Any audio or video file to PCM, packet by packet, with FFmpeg's libraries inside PyAV.

A loop of our own, because the ready-made ones stop silently at the first bad packet, follow a changed sample rate into
noise, forget when something was heard, or allocate by what a hostile header claims.
"""

from __future__ import annotations

import logging
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from asrpro_worker.container import DECODE_ERRORS, frames, open_container, tracks
from asrpro_worker.errors import WorkerError
from asrpro_worker.file_clock import FileClock
from asrpro_worker.ogg_links import links
from asrpro_worker.pcm import RATE, Pcm, spool_directory
from asrpro_worker.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.audio.frame import AudioFrame

log = logging.getLogger(__name__)

MIN_SECONDS = Fraction(1, 10)
MAX_SECONDS = 12 * 3600
# DSD files give 2.8 million samples a second.
_RATES = range(1_000, 3_072_001)
# libswresample takes no more.
_MAX_CHANNELS = 64

_NOT_AUDIO = (
    "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
)


def decode(path: str, progress: Callable[[float], None]) -> Pcm:
    """The sound of a file as PCM on the file's own clock: what starts late or has holes has silence there.

    The caller closes it. `progress` is called with the seconds decoded so far and may raise to stop. Raises
    WorkerError: `invalid_file_format`, `audio_too_short` (under 0.1 s), `audio_too_long` or `disk_full`.
    """
    pcm = Pcm(spool_directory(path))
    try:
        with Path(path).open("rb") as file:
            heard = _decode_into(pcm, file, progress)
    except DECODE_ERRORS as error:
        pcm.close()
        log.info("The file cannot be decoded: %s", type(error).__name__)
        raise WorkerError("invalid_file_format", _NOT_AUDIO, "file") from error
    except BaseException:
        pcm.close()
        raise
    if heard < MIN_SECONDS:
        pcm.close()
        if heard == 0:
            raise WorkerError("invalid_file_format", f"{_NOT_AUDIO}. The file holds no sound.", "file")
        raise WorkerError("audio_too_short", "Audio file is too short. Minimum audio length is 0.1 seconds.", "file")
    return pcm


def _decode_into(pcm: Pcm, file: BinaryIO, progress: Callable[[float], None]) -> Fraction:
    """The seconds of sound that were found."""
    heard = Fraction(0)
    failure: Exception | None = None
    for start, end in links(file):
        try:
            heard += _decode_link(pcm, file, start, end, progress)
        except DECODE_ERRORS as error:
            failure = error
    if failure is not None and heard == 0:
        raise failure
    return heard


def _decode_link(pcm: Pcm, file: BinaryIO, start: int, end: int, progress: Callable[[float], None]) -> Fraction:
    """The first track that has any sound."""
    number = 0
    while True:
        # Opened anew for each track: not every container can go back.
        with open_container(file, start, end) as container:
            candidates = tracks(container)
            if not candidates:
                raise IndexError("no audio track")
            heard = _decode_track(pcm, container, candidates[number], progress)
        number += 1
        if heard > 0 or number >= len(candidates):
            return heard


def _decode_track(pcm: Pcm, container: Any, track: Any, progress: Callable[[float], None]) -> Fraction:
    def alive() -> None:
        progress(pcm.duration)

    def skipped() -> None:
        pcm.skipped_packets += 1
        alive()

    clock = FileClock(container, MAX_SECONDS)

    def passed(packet: Any) -> None:
        clock.saw(packet)
        alive()

    sound = _Sound(pcm, clock)
    for frame in frames(container, track, skipped, passed):
        if not sound.takes(frame):
            skipped()
        elif sound.push(frame):
            if pcm.duration > MAX_SECONDS:
                message = f"The audio is longer than {MAX_SECONDS // 3600} hours; split it."
                raise WorkerError("audio_too_long", message, "file")
            alive()
    sound.end()
    return sound.heard


class _Sound:
    """Decoded frames on their way into the PCM.

    What changes its format, layout or rate on the way gets a new resampler.
    """

    def __init__(self, pcm: Pcm, clock: FileClock) -> None:
        self._pcm = pcm
        self._clock = clock
        self._source: tuple[str, str, int, int] | None = None
        self._resampler: Resampler | None = None
        self._samples: Counter[int] = Counter()
        # Where this track begins in the PCM, and the seconds that it has by now, with the silence before and in it.
        self._start = pcm.samples
        self._position = 0.0

    @property
    def heard(self) -> Fraction:
        """Seconds of sound, exactly."""
        return sum((Fraction(count, rate) for rate, count in self._samples.items()), Fraction(0))

    @staticmethod
    def takes(frame: AudioFrame) -> bool:
        """A damaged packet can claim any rate and number of channels; those around it are sound."""
        return frame.samples > 0 and frame.sample_rate in _RATES and 1 <= frame.layout.nb_channels <= _MAX_CHANNELS

    def push(self, frame: AudioFrame) -> bool:
        """Take a frame; True when something was handed on to the PCM."""
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        self._wait(self._clock.silence_before(frame, self._position))
        # The resampler would insert and drop sound by itself, wherever the times say so.
        frame.pts = None
        source = (frame.format.name, frame.layout.name, channels, rate)
        changed = source != self._source
        if changed or self._resampler is None:
            self.flush()
            self._source, self._resampler = source, Resampler(frame)
        self._samples[rate] += frame.samples
        self._position += frame.samples / rate
        enough = self._resampler.add(frame)
        if enough:
            self._pcm.append(self._resampler.take())
        return changed or enough

    def end(self) -> None:
        """Write the rest; where pictures go on behind the sound, the file does too."""
        self.flush()
        if self._samples:
            self._wait(self._clock.silence_behind(self._position))

    def _wait(self, silence: float) -> None:
        if silence > 0:
            self.flush()
            self._position += silence
            self._pcm.append_silence(self._start + round(self._position * RATE) - self._pcm.samples)

    def flush(self) -> None:
        """Write what is still on the way."""
        if self._resampler is not None:
            self._pcm.append(self._resampler.take())
            self._pcm.append(self._resampler.rest())
            self._resampler = None
