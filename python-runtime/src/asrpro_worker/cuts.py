"""Cuts audio of any length into pieces of speech. It reads the file only as far as the next piece needs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.speech import SPEECH, speech_probabilities
from asrpro_worker.vad_input import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.sound import Sound

# The index of a window and the probability of speech in it.
Window = tuple[int, float]

# Lengths below are counted in windows of 32 ms.
_PER_SECOND = RATE / WINDOW
# How much of a pause is kept after and before speech. A file that fits into one piece keeps more, because removing
# pauses would gain nothing there.
_MARGIN = round(0.3 * _PER_SECOND)
_WIDE_MARGIN = round(3.0 * _PER_SECOND)
_MAX_PIECE = int(30.0 * _PER_SECOND)
# For shorter pieces the models invent text.
_MIN_PIECE = round(0.1 * _PER_SECOND)
_EARLIEST_CUT = round(12.0 * _PER_SECOND)
# The first of several pieces is shorter: the first text of 60 s came after half of the time with base, and after 84 to
# 99 % of it with tiny.en, on two cores.
_MAX_FIRST_PIECE = int(10.0 * _PER_SECOND)
_EARLIEST_FIRST_CUT = round(5.0 * _PER_SECOND)
# Every piece costs Whisper a full encoder pass, so a later cut outweighs a longer pause: ten windows of speech count as
# much as one window of pause. All pauses longer than _LONG_PAUSE count the same.
_LATE_CUT_WEIGHT = 0.1
_LONG_PAUSE = round(3.0 * _PER_SECOND)


class Cut(NamedTuple):
    """A future piece: ranges of samples, [start, stop) each, and the probability of speech in each of their windows."""

    spans: tuple[tuple[int, int], ...]
    speech: NDArray[np.float32]


def pieces(sound: Sound, visit: Callable[[float], None], *, whole: bool = False) -> Iterator[Cut]:
    """Yield the speech in pieces of 0.1 to 30 s, in order.

    The inside of long pauses is removed, so that each piece holds as much speech as possible; `whole` keeps everything.
    `visit` is called with the seconds analysed so far, and may raise to stop.
    """
    margin = _MARGIN if sound.reaches(_MAX_PIECE * WINDOW) else _WIDE_MARGIN
    kept: list[Window] = []
    pause = _Pause(margin)
    limits = (_EARLIEST_FIRST_CUT, _MAX_FIRST_PIECE)
    at = 0
    for block in speech_probabilities(sound, visit):
        for probability in block.tolist():
            window = (at, probability)
            at += 1
            if probability < SPEECH and not whole:
                pause.add(window)
                continue
            kept += [*(pause.ends() if kept else pause.tail), window]
            pause = _Pause(margin)
            while len(kept) > _MAX_PIECE:
                cut = _best_cut(kept, *limits)
                limits = (_EARLIEST_CUT, _MAX_PIECE)
                yield _piece(kept[:cut], sound)
                kept = kept[cut:]
    if kept:
        kept += pause.head
    while len(kept) >= _MIN_PIECE and (whole or max(probability for _, probability in kept) >= SPEECH):
        cut = len(kept) if len(kept) <= _MAX_PIECE else _best_cut(kept, *limits)
        yield _piece(kept[:cut], sound)
        kept = kept[cut:]


class _Pause:
    """The windows of a pause. Of a long pause it keeps only the beginning and the end, `margin` windows each."""

    def __init__(self, margin: int) -> None:
        self._margin = margin
        self.head: list[Window] = []
        self.tail: deque[Window] = deque(maxlen=margin)

    def add(self, window: Window) -> None:
        if len(self.head) < self._margin:
            self.head.append(window)
        self.tail.append(window)

    def ends(self) -> list[Window]:
        last = self.head[-1][0] if self.head else 0
        return self.head + [window for window in self.tail if window[0] > last]


def _best_cut(kept: list[Window], earliest: int, latest: int) -> int:
    """The middle of a long and late pause, else the window with the lowest probability of speech."""
    windows, speech = (np.asarray(column) for column in zip(*kept[earliest:latest], strict=True))
    starts, ends = _runs(speech < SPEECH)
    if len(starts) == 0:
        return earliest + int(speech.argmin())
    lengths = np.minimum(windows[ends - 1] - windows[starts] + 1, _LONG_PAUSE)
    middles = (starts + ends) // 2
    return earliest + int(middles[(lengths + _LATE_CUT_WEIGHT * middles).argmax()])


def _runs(quiet: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the runs of True, as two arrays of indices, [start, end) each."""
    padded = np.concatenate([[False], quiet, [False]])
    return np.flatnonzero(~padded[:-1] & padded[1:]), np.flatnonzero(padded[:-1] & ~padded[1:])


def _piece(kept: list[Window], sound: Sound) -> Cut:
    at = np.asarray([window for window, _ in kept])
    breaks = np.flatnonzero(np.diff(at) != 1) + 1
    spans = [(int(run[0]) * WINDOW, (int(run[-1]) + 1) * WINDOW) for run in np.split(at, breaks)]
    # The last window may be longer than the sound.
    start, stop = spans[-1]
    spans[-1] = (start, stop if sound.reaches(stop) else sound.samples)
    return Cut(tuple(spans), np.asarray([probability for _, probability in kept], np.float32))
