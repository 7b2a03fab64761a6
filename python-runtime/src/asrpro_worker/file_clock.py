"""Computes from a file's timestamps how much silence belongs before a frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Containers with timestamps. In all others the sound is continuous, and FFmpeg counts its timestamps or guesses them
# from the bit rate.
_TIMED = {
    *("asf", "asf_o", "avi", "flv", "gxf", "live_flv", "matroska", "mov", "mp4", "mpeg", "mpegts", "mxf", "nut", "ogg"),
    *("rm", "webm", "wtv"),
}
# Timestamps in recordings of browsers and cameras jitter by some hundredths of a second. Less silence than _MIN_SILENCE
# is not inserted, nor any where the frame follows the previous one by less than _MIN_GAP. Both in seconds.
_MIN_SILENCE = 0.1
_MIN_GAP = 0.05
# More silence than this at once is a broken timestamp, in seconds. So is more than a minute of silence for each second
# of sound beyond it, which a damaged time base causes.
_MAX_SILENCE = 3600.0
_MAX_SILENCE_PER_SECOND = 60.0
# How far the last frame may end after the duration that the file claims, in seconds.
_SLACK = 1.0


class FileClock:
    """Time 0 is the start of the file's first stream, as in players. A frame is never moved to an earlier time.

    Implausible timestamps are ignored, so that a broken file keeps its sound: jumps backwards, jumps of more than an
    hour, silence out of proportion to the sound, and times after the claimed duration or after `longest` seconds.
    """

    def __init__(self, container: Any, longest: float) -> None:
        self._timed = not _TIMED.isdisjoint(container.format.name.split(","))
        self._start = None if container.start_time is None else container.start_time / 1_000_000
        self._end = float(longest)
        if container.duration is not None and container.duration > 0:
            self._end = min(self._end, container.duration / 1_000_000 + _SLACK)
        self._silence = 0.0
        # End of the latest packet of other tracks.
        self._others_end = -math.inf
        # End of the previous frame by its own timestamp.
        self._expected: float | None = None

    def silence_before(self, frame: AudioFrame, position: float) -> float:
        """Seconds of silence to insert before the frame; `position`: the seconds written so far."""
        length = frame.samples / frame.sample_rate
        time = frame.time if self._timed and frame.time_base is not None else None
        if time is None or not math.isfinite(time):
            if self._expected is not None:
                self._expected += length
            return 0.0
        if self._start is None:
            self._start = time
        at = time - self._start
        gap = _MIN_GAP if self._expected is None else at - self._expected
        self._expected = at + length
        if gap < _MIN_GAP or at + length > self._end:
            return 0.0
        return self._plausible(at - position, position)

    def note_packet(self, packet: Any) -> None:
        """Record where a packet of another track ends, because the duration in a header may be wrong."""
        if packet.pts is not None and packet.stream.type in ("audio", "video") and packet.time_base is not None:
            self._others_end = max(self._others_end, float((packet.pts + (packet.duration or 0)) * packet.time_base))

    def silence_after(self, position: float) -> float:
        """Seconds of silence from `position`, the end of the sound, to the end of the other tracks."""
        if not self._timed or self._start is None or self._others_end - self._start > self._end:
            return 0.0
        return self._plausible(self._others_end - self._start - position, position)

    def _plausible(self, silence: float, position: float) -> float:
        total_limit = _MAX_SILENCE + _MAX_SILENCE_PER_SECOND * (position - self._silence)
        if silence < _MIN_SILENCE or silence > _MAX_SILENCE or self._silence + silence > total_limit:
            return 0.0
        self._silence += silence
        return silence
