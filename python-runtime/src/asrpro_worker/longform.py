"""Cuts audio of any length at its pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.speech import SPEECH, WINDOW, speech_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.pcm import Pcm

# All in windows of 32 ms, from seconds.
_WINDOWS = RATE / WINDOW
_MARGIN = round(0.4 * _WINDOWS)
# A pause this long ends a piece; shorter ones stay inside, because every piece costs Whisper a full encoder pass.
_PIECE_GAP = round(3.0 * _WINDOWS)
_PIECE = int(30.0 * _WINDOWS)
# A piece that has to be cut is cut in its later part.
_EARLIEST_CUT = round(12.0 * _WINDOWS)
# Whisper invents text in windows without speech; a pause this long is left out.
_STRETCH_GAP = round(10.0 * _WINDOWS)
_STRETCH_MARGIN = round(1.0 * _WINDOWS)
# How much of it is listened to at its end, and how much where that is silent. On 74 minutes of one reader that takes a
# seventh of the time of listening to all of it.
_PROBE = round(1.0 * _WINDOWS)
_SCAN = round(12.0 * _WINDOWS)
# The VAD takes a tone of a human voice for speech in the first windows that it hears: these do not count.
_WARM_UP = round(0.5 * _WINDOWS)
# A file that is worked on in several places is cut at the longest pause this near to the even place, as part of a
# stretch and at most in seconds, and at one of half a second at least: whoever speaks through all of it is not cut.
# Farther away there are longer pauses, but the last stretch to end decides when all is done.
_REACH = 0.05
_FARTHEST = 60.0
_SHORTEST_PAUSE = round(0.5 * _WINDOWS)


def pieces(pcm: Pcm, visit: Callable[[float], None]) -> Iterator[tuple[int, int]]:
    """Stretches of speech of at most 30 s as [start, stop) in samples, in order and without overlap.

    Cut in the middle of the longest pause where speech goes on for longer; silence between pieces is left out. The
    first comes after the first minute was looked at.
    """
    heard: list[float] = []  # probabilities from window `first` on
    first = 0
    last_speech = -1
    for block in speech_probabilities(pcm, visit):
        for probability in block.tolist():
            heard.append(probability)
            now = first + len(heard) - 1
            if probability >= SPEECH:
                last_speech = now
            elif last_speech < first:
                # no piece has begun; the next will begin a little before its first speech
                del heard[:-_MARGIN]
                first = now + 1 - len(heard)
            elif now - last_speech >= _PIECE_GAP:
                stop = last_speech + 1 + _MARGIN
                yield _samples(pcm, first, stop)
                first, heard = stop, heard[stop - first :]
                last_speech = first - 1
            if last_speech >= first and len(heard) >= _PIECE:
                cut = first + _best_cut(heard)
                yield _samples(pcm, first, cut)
                first, heard = cut, heard[cut - first :]
                if last_speech < first:
                    last_speech = first - 1
    if last_speech >= first:
        yield _samples(pcm, first, last_speech + 1 + _MARGIN)


def speech_stretches(pcm: Pcm, visit: Callable[[float], None]) -> list[tuple[float, float]]:
    """Where speech is, as (start, end) in seconds: pauses under 10 s belong to it, longer ones are left out.

    A file without long pauses is one stretch, (0, its duration); a file without speech has none.

    Only what decides is listened to, so that the text of an hour does not wait for all of it. Speech up to 10 s behind
    the last speech joins it, whatever lies between: the search leaps to the last second of this reach, and only where
    nobody speaks in it goes on from the last speech window by window.
    """
    windows = -(-pcm.samples // WINDOW)
    found: list[list[int]] = []

    def listen(first: int, stop: int) -> bool:
        """Adds the speech in windows [first, stop) to what was found; is there any?"""
        begin = max(0, first - _WARM_UP)
        heard = np.concatenate([*speech_probabilities(pcm, visit, begin * WINDOW, stop * WINDOW)])
        spoken = (np.flatnonzero(heard[first - begin :] >= SPEECH) + first).tolist()
        for window in spoken:
            if found and window - found[-1][1] <= _STRETCH_GAP:
                found[-1][1] = max(found[-1][1], window)
            else:
                found.append([window, window])
        return bool(spoken)

    position = 0
    while position < windows:
        reach = found[-1][1] + _STRETCH_GAP + 1 if found else 0
        if reach >= windows:
            break
        if reach > position and listen(reach - _PROBE, reach):
            position = found[-1][1] + 1
            continue
        stop = min(position + _SCAN, windows)
        listen(position, stop)
        position = stop
    return [
        (
            0.0 if start <= _STRETCH_GAP else (start - _STRETCH_MARGIN) / _WINDOWS,
            pcm.duration if windows - end <= _STRETCH_GAP else (end + 1 + _STRETCH_MARGIN) / _WINDOWS,
        )
        for start, end in found
    ]


def split(
    pcm: Pcm, stretches: list[tuple[float, float]], parts: int, visit: Callable[[float], None]
) -> list[list[tuple[float, float]]]:
    """`stretches` (start, end in seconds) dealt out to at most `parts` lists of about the same length, in order.

    Cut only where there is a good pause; without any there is one list. Whisper begins anew behind a cut, without the
    text before it, so there should be few.
    """
    whole = sum(end - start for start, end in stretches)
    lists: list[list[tuple[float, float]]] = [[]]
    reach = min(_FARTHEST, _REACH * whole / parts)
    cuts = [_pause_near(pcm, _moment(stretches, whole * part / parts), reach, visit) for part in range(1, parts)]
    remaining = sorted({cut for cut in cuts if cut is not None})
    for start, end in stretches:
        begin = start
        while remaining and remaining[0] < end:
            cut = remaining.pop(0)
            if cut > begin:
                lists[-1].append((begin, cut))
            begin = max(begin, cut)
            if lists[-1]:
                lists.append([])
        lists[-1].append((begin, end))
    return lists


def _moment(stretches: list[tuple[float, float]], spoken: float) -> float:
    """The moment of the file after `spoken` seconds of stretches."""
    for start, end in stretches:
        if spoken <= end - start:
            return start + spoken
        spoken -= end - start
    return stretches[-1][1]


def _pause_near(pcm: Pcm, moment: float, reach: float, visit: Callable[[float], None]) -> float | None:
    """The middle of the longest pause at most `reach` from `moment`, all in seconds."""
    first = max(0, int((moment - reach) * RATE))
    last = int((moment + reach) * RATE)
    quiet = np.concatenate([block < SPEECH for block in speech_probabilities(pcm, visit, first, last)])
    starts, ends = _runs(quiet)
    if len(starts) == 0 or (ends - starts).max() < _SHORTEST_PAUSE:
        return None
    longest = int((ends - starts).argmax())
    return first / RATE + (int(starts[longest]) + int(ends[longest])) / 2 / _WINDOWS


def _runs(quiet: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of True start and end: two arrays of indices, [start, end) each."""
    padded = np.concatenate([[False], quiet, [False]])
    return np.flatnonzero(~padded[:-1] & padded[1:]), np.flatnonzero(padded[:-1] & ~padded[1:])


def _best_cut(heard: list[float]) -> int:
    """The middle of the longest pause in the later part; without one, the window least like speech."""
    later = np.asarray(heard[_EARLIEST_CUT:])
    starts, ends = _runs(later < SPEECH)
    if len(starts) == 0:
        return _EARLIEST_CUT + int(later.argmin())
    longest = int((ends - starts).argmax())
    return _EARLIEST_CUT + int(starts[longest] + ends[longest]) // 2


def _samples(pcm: Pcm, first: int, stop: int) -> tuple[int, int]:
    return first * WINDOW, min(stop * WINDOW, pcm.samples)
