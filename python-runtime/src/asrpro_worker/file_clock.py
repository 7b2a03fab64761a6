"""Computes from a file's timestamps how much silence belongs before a frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

    from asrpro_worker.edit_lists import Holes

# Containers with timestamps. In all others the sound is continuous, and FFmpeg counts its timestamps or guesses them
# from the bit rate.
_TIMED = {
    *("asf", "asf_o", "avi", "flv", "gxf", "live_flv", "matroska", "mov", "mp4", "mpeg", "mpegts", "mxf", "nut", "ogg"),
    *("rm", "webm", "wtv"),
}
# Has no header with a duration. FFmpeg takes it from the last timestamp, which is wrong if recordings were joined.
_WITHOUT_DURATION = "mpeg"
# Timestamps in recordings of browsers and cameras jitter by some hundredths of a second. Less silence than _MIN_SILENCE
# is not inserted, nor any where the frame follows the previous one by less than _MIN_GAP. Both in seconds.
_MIN_SILENCE = 0.1
_MIN_GAP = 0.05
# A lost packet leaves a shorter gap, of nearly the length of a frame. Those of one lost packet in a hundred add up to
# 36 s per hour. If more than a quarter of the frames have such a gap, their timestamps are wrong.
_LOST_FRAME = 0.9
_MAX_LOST_FRAMES = 0.25
# More silence than this at once is a broken timestamp, in seconds. So is more than a minute of silence for each second
# of sound beyond it, which a damaged time base causes. Silence that has a picture is right at any length.
_MAX_SILENCE = 3600.0
_MAX_SILENCE_PER_SECOND = 60.0
# A picture lasts until the next one, at most this many seconds.
_MAX_PICTURE = 60.0
# The clock has restarted if a frame begins more than this many seconds before the end of the previous one.
_RESTART = 1.0
# How far the last frame may end after the duration that the file claims, in seconds.
_SLACK = 1.0


class FileClock:
    """Time 0 is the start of the file's first stream, as in players. A frame is never moved to an earlier time.

    Implausible timestamps are ignored, so that a broken file keeps its sound: jumps backwards, jumps of more than an
    hour without a picture, silence out of proportion to the sound, and times after the claimed duration or after
    `longest` seconds. The clock then continues from the sound so far, so that later gaps are kept.
    """

    def __init__(self, container: Any, longest: float, empty: Holes) -> None:
        names = set(container.format.name.split(","))
        self._timed = not _TIMED.isdisjoint(names)
        self._start = None if container.start_time is None else container.start_time / 1_000_000
        self._longest = self._end = float(longest)
        if container.duration is not None and container.duration > 0 and _WITHOUT_DURATION not in names:
            self._end = min(self._end, container.duration / 1_000_000 + _SLACK)
        self._silence = 0.0
        # End of the latest packet of other tracks, and how many seconds they last.
        self._others_end = -math.inf
        self._others_seconds = 0.0
        # End of the previous frame by its own timestamp.
        self._expected: float | None = None
        # Start of the clock before its last restart.
        self._previous_start: float | None = None
        self._empty = empty
        # Frames, and those of them after which a packet was lost.
        self._frames = self._lost = 0

    def hides(self, frame: AudioFrame) -> bool:
        """True for a frame in an empty edit of an MP4 file, which is not part of the recording."""
        if not self._empty or frame.time is None:
            return False
        middle = frame.time + frame.samples / frame.sample_rate / 2
        return any(start <= middle < end for start, end in self._empty)

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
        if abs(gap) > _RESTART and self._is_back(time, position):
            self._expected = position + length
            return 0.0
        if gap < -_RESTART:
            # Another recording was appended, whose duration is not in the header.
            self._end = self._longest
            self._continue(time, position, length)
        if not self._is_gap(gap, length) or at - position < _MIN_SILENCE:
            return 0.0
        if at + length <= self._end and self._is_plausible(at - position, position):
            self._silence += at - position
            return at - position
        self._continue(time, position, length)
        return 0.0

    def note_packet(self, packet: Any) -> None:
        """Record where a packet of another track ends, because the duration in a header may be wrong."""
        if packet.pts is not None and packet.stream.type in ("audio", "video") and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            if math.isfinite(self._others_end):
                self._others_seconds += min(max(0.0, end - self._others_end), _MAX_PICTURE)
            self._others_end = max(self._others_end, end)

    def silence_after(self, position: float) -> float:
        """Seconds of silence from `position`, the end of the sound, to the end of the other tracks."""
        if not self._timed or self._start is None or self._others_end - self._start > self._end:
            return 0.0
        silence = self._others_end - self._start - position
        return silence if silence >= _MIN_SILENCE and self._is_plausible(silence, position) else 0.0

    def _continue(self, time: float, position: float, length: float) -> None:
        """Let the frame with this time follow the sound so far."""
        self._start, self._previous_start = time - position, self._start
        self._expected = position + length
        self._others_end = -math.inf

    def _is_back(self, time: float, position: float) -> bool:
        """Return to the clock before the last restart if the time continues it: only single timestamps were wrong."""
        previous = self._previous_start
        if previous is None or abs(time - previous - position) > _RESTART:
            return False
        self._start, self._previous_start = previous, None
        return True

    def _is_gap(self, gap: float, length: float) -> bool:
        if gap >= _MIN_GAP:
            return True
        self._frames += 1
        self._lost += gap > _LOST_FRAME * length
        return gap > _LOST_FRAME * length and self._lost < _MAX_LOST_FRAMES * self._frames

    def _is_plausible(self, silence: float, position: float) -> bool:
        total_limit = _MAX_SILENCE + _MAX_SILENCE_PER_SECOND * (position - self._silence)
        small = silence <= _MAX_SILENCE and self._silence + silence <= total_limit
        return small or self._silence + silence <= self._others_seconds
