"""Cuts audio of any length at its pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.speech import SPEECH, WINDOW, speech_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    """
    found: list[list[int]] = []
    position = 0
    for block in speech_probabilities(pcm, visit):
        for window in (np.flatnonzero(block >= SPEECH) + position).tolist():
            if found and window - found[-1][1] <= _STRETCH_GAP:
                found[-1][1] = window
            else:
                found.append([window, window])
        position += len(block)
    return [
        (
            0.0 if start <= _STRETCH_GAP else (start - _STRETCH_MARGIN) / _WINDOWS,
            pcm.duration if position - end <= _STRETCH_GAP else (end + 1 + _STRETCH_MARGIN) / _WINDOWS,
        )
        for start, end in found
    ]


def _best_cut(heard: list[float]) -> int:
    """The middle of the longest pause in the later part; without one, the window least like speech."""
    later = np.asarray(heard[_EARLIEST_CUT:])
    quiet = np.concatenate([[False], later < SPEECH, [False]])
    starts, ends = np.flatnonzero(~quiet[:-1] & quiet[1:]), np.flatnonzero(quiet[:-1] & ~quiet[1:])
    if len(starts) == 0:
        return _EARLIEST_CUT + int(later.argmin())
    longest = int((ends - starts).argmax())
    return _EARLIEST_CUT + int(starts[longest] + ends[longest]) // 2


def _samples(pcm: Pcm, first: int, stop: int) -> tuple[int, int]:
    return first * WINDOW, min(stop * WINDOW, pcm.samples)
