"""Decodes any audio or video file to PCM, packet by packet, with the FFmpeg libraries in PyAV.

Existing decoding loops have one of these faults: they stop silently at the first bad packet, produce noise after a
change of the sample rate, ignore timestamps, or allocate what a hostile header claims.
"""

from __future__ import annotations

import logging
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from asrpro_worker.container import DECODE_ERRORS, NoTrackError, frames, open_container, tracks
from asrpro_worker.edit_lists import empty_edits
from asrpro_worker.errors import WorkerError
from asrpro_worker.file_clock import FileClock
from asrpro_worker.ogg_links import links
from asrpro_worker.pcm import RATE, Pcm, spool_directory
from asrpro_worker.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

MIN_SECONDS = Fraction(1, 10)
MAX_SECONDS = 12 * 3600
# DSD files have 2.8 million samples per second.
_RATES = range(1_000, 3_072_001)
# The limit of libswresample.
_MAX_CHANNELS = 64

# Digital silence, with the rounding errors of lossy codecs.
_INAUDIBLE = 2

_NOT_AUDIO = (
    "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
)


def decode(path: str, progress: Callable[[float], None]) -> Pcm:
    """Decode a file to PCM, which the caller closes; see `decode_into`."""
    pcm = Pcm(spool_directory(path))
    try:
        decode_into(pcm, path, progress)
    except BaseException:
        pcm.close()
        raise
    return pcm


def decode_into(pcm: Pcm, path: str, progress: Callable[[float], None]) -> None:
    """Append the sound of a file and keep the file's timestamps: a late start and gaps become silence.

    `progress` is called with the seconds decoded so far and may raise to stop. Raises WorkerError:
    `invalid_file_format`, `audio_too_short` (under 0.1 s), `audio_too_long` (over 12 h) or `disk_full`.
    """
    try:
        with Path(path).open("rb") as file:
            seconds = _decode_links(pcm, file, progress)
    except DECODE_ERRORS as error:
        log.info("The file cannot be decoded: %s", type(error).__name__)
        message = f"{_NOT_AUDIO}. {error}" if isinstance(error, NoTrackError) else _NOT_AUDIO
        raise WorkerError("invalid_file_format", message, "file") from error
    if seconds == 0:
        raise WorkerError("invalid_file_format", f"{_NOT_AUDIO}. The file contains no sound.", "file")
    if seconds < MIN_SECONDS:
        raise WorkerError("audio_too_short", "Audio file is too short. Minimum audio length is 0.1 seconds.", "file")


def _decode_links(pcm: Pcm, file: BinaryIO, progress: Callable[[float], None]) -> Fraction:
    """Decode all links of a file; returns the seconds of sound, without inserted silence."""
    seconds = Fraction(0)
    failure: Exception | None = None
    for start, end in links(file):
        try:
            seconds += _decode_link(pcm, file, start, end, progress)
        except DECODE_ERRORS as error:
            failure = error
    if failure is not None and seconds == 0:
        raise failure
    return seconds


def _decode_link(pcm: Pcm, file: BinaryIO, start: int, end: int, progress: Callable[[float], None]) -> Fraction:
    """Decode the first track that is not silent; returns its seconds.

    Recorders of several sources write a track for each, also for a muted one. If all are silent, the longest counts.
    """
    begin = pcm.samples
    longest, samples = Fraction(0), 0
    empty = empty_edits(file, start, end)
    number = 0
    while True:
        # Reopened for each track because not every container can seek back.
        with open_container(file, start, end) as container:
            candidates = tracks(container)
            track = candidates[number]
            clock = FileClock(container, MAX_SECONDS, empty.get(track.id, []))
            writer = _TrackWriter(pcm, clock, progress)
            _decode_track(pcm, container, track, writer)
        number += 1
        if writer.is_audible:
            pcm.settle()
            return writer.seconds
        if writer.seconds > longest:
            longest, samples = writer.seconds, pcm.samples - begin
        pcm.truncate(begin)
        if number >= len(candidates):
            pcm.append_silence(samples)
            pcm.settle()
            return longest


def _decode_track(pcm: Pcm, container: Any, track: Any, writer: _TrackWriter) -> None:
    for frame in frames(container, track, writer.skipped, writer.other_track):
        if not writer.accepts(frame):
            writer.skipped()
        elif writer.push(frame):
            if pcm.duration > MAX_SECONDS:
                message = f"The audio is longer than {MAX_SECONDS // 3600} hours; split it."
                raise WorkerError("audio_too_long", message, "file")
            writer.report()
    writer.end()


class _TrackWriter:
    """Writes the decoded frames of a track into the PCM.

    A change of format, layout or sample rate within the track creates a new resampler.
    """

    def __init__(self, pcm: Pcm, clock: FileClock, progress: Callable[[float], None]) -> None:
        self._pcm = pcm
        self._clock = clock
        self._progress = progress
        self._source: tuple[str, str, int, int] | None = None
        self._resampler: Resampler | None = None
        self._samples: Counter[int] = Counter()
        # Where this track begins in the PCM, in samples, and how many seconds it has so far, silence included.
        self._start = pcm.samples
        self._position = 0.0
        self.is_audible = False

    @property
    def seconds(self) -> Fraction:
        """Exact seconds of sound, without inserted silence."""
        return sum((Fraction(count, rate) for rate, count in self._samples.items()), Fraction(0))

    def report(self) -> None:
        """Report the seconds decoded so far; may raise to stop."""
        self._progress(self._pcm.duration)

    def skipped(self) -> None:
        """Count a packet that cannot be decoded."""
        self._pcm.skipped_packets += 1
        self.report()

    def other_track(self, packet: Any) -> None:
        """Take the time of a packet of another track."""
        self._clock.note_packet(packet)
        self.report()

    @staticmethod
    def accepts(frame: AudioFrame) -> bool:
        """False for a damaged packet, which can claim any rate and number of channels."""
        return frame.samples > 0 and frame.sample_rate in _RATES and 1 <= frame.layout.nb_channels <= _MAX_CHANNELS

    def push(self, frame: AudioFrame) -> bool:
        """Add a frame; True if samples were written to the PCM."""
        if self._clock.hides(frame):
            return False
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        self._append_silence(self._clock.silence_before(frame, self._position))
        # With timestamps, the resampler would insert and drop samples itself.
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
            self._append(self._resampler.take())
        return changed or enough

    def end(self) -> None:
        """Write the rest, and silence up to the end of the video if that is longer than the audio."""
        self.flush()
        if self._samples:
            self._append_silence(self._clock.silence_after(self._position))

    def _append_silence(self, silence: float) -> None:
        if silence > 0:
            self.flush()
            self._position += silence
            self._pcm.append_silence(self._start + round(self._position * RATE) - self._pcm.samples)

    def flush(self) -> None:
        """Write the samples that are still in the resampler."""
        if self._resampler is not None:
            self._append(self._resampler.take())
            self._append(self._resampler.rest())
            self._resampler = None

    def _append(self, samples: NDArray[np.int16]) -> None:
        self.is_audible = self.is_audible or bool((np.abs(samples.astype(np.int32)) > _INAUDIBLE).any())
        self._pcm.append(samples)
        if self.is_audible:
            self._pcm.settle()
