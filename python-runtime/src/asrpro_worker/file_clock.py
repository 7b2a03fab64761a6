"""Where a frame lies on the clock of its file, and what silence belongs before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Containers that write down when something is heard. The others are one sound from the first byte to the last; what
# FFmpeg says about their times is counted or guessed from bit rates.
_TIMED = {
    *("asf", "asf_o", "avi", "flv", "gxf", "live_flv", "matroska", "mov", "mp4", "mpeg", "mpegts", "mxf", "nut", "ogg"),
    *("rm", "webm", "wtv"),
}
# Times wander by some hundredths of a second in recordings of browsers and of cameras. In seconds: what the clock may
# be ahead of the sound, and how far a frame must lie behind the one before it.
_AHEAD = 0.1
_APART = 0.05
# A longer hole is a broken time, in seconds; so is what makes more than a minute of silence for each second of sound
# beyond that, such as a clock whose unit was damaged.
_LONGEST = 3600.0
_SILENCE_FOR_SOUND = 60.0
# By how much the last frame may end behind the length that the file claims, in seconds.
_SLACK = 1.0


class FileClock:
    """Zero is the start of the file's first stream, as in players. A frame is never moved to an earlier place.

    Times are believed where they are plausible only, so that a broken file costs nothing but its own times: forward, at
    most an hour at once, not out of all proportion to the sound, within the length that the file claims, and within
    `longest` seconds in all.
    """

    def __init__(self, container: Any, longest: float) -> None:
        self._timed = not _TIMED.isdisjoint(container.format.name.split(","))
        self._start = None if container.start_time is None else container.start_time / 1_000_000
        self._end = float(longest)
        if container.duration is not None and container.duration > 0:
            self._end = min(self._end, container.duration / 1_000_000 + _SLACK)
        self._silence = 0.0
        self._seen = -math.inf
        # Where the frame before ends by its own time.
        self._expected: float | None = None

    def silence_before(self, frame: AudioFrame, position: float) -> float:
        """Seconds of silence between `position`, the seconds that are there, and the frame."""
        length = frame.samples / frame.sample_rate
        time = frame.time if self._timed and frame.time_base is not None else None
        if time is None or not math.isfinite(time):
            if self._expected is not None:
                self._expected += length
            return 0.0
        if self._start is None:
            self._start = time
        at = time - self._start
        apart = _APART if self._expected is None else at - self._expected
        self._expected = at + length
        if apart < _APART or at + length > self._end:
            return 0.0
        return self._plausible(at - position, position)

    def saw(self, packet: Any) -> None:
        """Remember where a packet of another track ends; what a header says of the length may be wrong."""
        if packet.pts is not None and packet.stream.type in ("audio", "video") and packet.time_base is not None:
            self._seen = max(self._seen, float((packet.pts + (packet.duration or 0)) * packet.time_base))

    def silence_behind(self, position: float) -> float:
        """Seconds from `position`, where the sound is over, to the end of what the other tracks have."""
        if not self._timed or self._start is None or self._seen - self._start > self._end:
            return 0.0
        return self._plausible(self._seen - self._start - position, position)

    def _plausible(self, silence: float, position: float) -> float:
        most = _LONGEST + _SILENCE_FOR_SOUND * (position - self._silence)
        if silence < _AHEAD or silence > _LONGEST or self._silence + silence > most:
            return 0.0
        self._silence += silence
        return silence
