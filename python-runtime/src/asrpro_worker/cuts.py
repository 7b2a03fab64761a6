"""Cuts audio of any length into pieces of speech, a piece at a time: the file is looked at as far as needed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.speech import SPEECH, WINDOW, speech_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.sound import Sound

# Its number and the probability of speech in it.
Window = tuple[int, float]

# All in windows of 32 ms, from seconds.
_WINDOWS = RATE / WINDOW
# What is kept of a pause beside the speech before and after it; more where the whole file fits into one piece, so that
# leaving out gains nothing.
_MARGIN = round(0.3 * _WINDOWS)
_WIDE_MARGIN = round(3.0 * _WINDOWS)
_PIECE = int(30.0 * _WINDOWS)
# Less than this the models answer with invented text.
_SHORTEST = round(0.1 * _WINDOWS)
_EARLIEST_CUT = round(12.0 * _WINDOWS)
# Every piece costs Whisper a full encoder pass, so a later cut is worth a shorter pause: ten windows of speech one of
# pause. Beyond this length pauses are alike.
_LATE = 0.1
_LONG_PAUSE = round(3.0 * _WINDOWS)


class Cut(NamedTuple):
    """A piece to be: stretches of samples, [start, stop) each, and the probability of speech in each window of them."""

    spans: tuple[tuple[int, int], ...]
    likely: NDArray[np.float32]


def pieces(sound: Sound, visit: Callable[[float], None], *, whole: bool = False) -> Iterator[Cut]:
    """Speech in pieces from 0.1 to 30 s, in order.

    The inside of a pause is left out, so that a piece holds as much speech as it can; `whole` keeps all of the file.
    `visit` is called with the seconds listened to so far, and may raise to stop.
    """
    margin = _WIDE_MARGIN if sound.samples <= _PIECE * WINDOW else _MARGIN
    kept: list[Window] = []
    pause = _Pause(margin)
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
            while len(kept) > _PIECE:
                cut = _best_cut(kept)
                yield _piece(kept[:cut], sound)
                kept = kept[cut:]
    if kept:
        kept += pause.head
    while len(kept) >= _SHORTEST and (whole or max(probability for _, probability in kept) >= SPEECH):
        cut = len(kept) if len(kept) <= _PIECE else _best_cut(kept)
        yield _piece(kept[:cut], sound)
        kept = kept[cut:]


class _Pause:
    """Windows without speech; of a long pause only its ends."""

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


def _best_cut(kept: list[Window]) -> int:
    """The middle of a long and late pause in what fits into a piece; without one, the window least like speech."""
    windows, likely = (np.asarray(column) for column in zip(*kept[_EARLIEST_CUT:_PIECE], strict=True))
    starts, ends = _runs(likely < SPEECH)
    if len(starts) == 0:
        return _EARLIEST_CUT + int(likely.argmin())
    lengths = np.minimum(windows[ends - 1] - windows[starts] + 1, _LONG_PAUSE)
    middles = (starts + ends) // 2
    return _EARLIEST_CUT + int(middles[(lengths + _LATE * middles).argmax()])


def _runs(quiet: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of True start and end: two arrays of indices, [start, end) each."""
    padded = np.concatenate([[False], quiet, [False]])
    return np.flatnonzero(~padded[:-1] & padded[1:]), np.flatnonzero(padded[:-1] & ~padded[1:])


def _piece(kept: list[Window], sound: Sound) -> Cut:
    at = np.asarray([window for window, _ in kept])
    breaks = np.flatnonzero(np.diff(at) != 1) + 1
    spans = tuple(
        (int(run[0]) * WINDOW, min((int(run[-1]) + 1) * WINDOW, sound.samples)) for run in np.split(at, breaks)
    )
    return Cut(spans, np.asarray([probability for _, probability in kept], np.float32))
