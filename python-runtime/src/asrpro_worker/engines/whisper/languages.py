"""A piece in which the language changes, in parts of one language each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.piece import Piece

# Frames of 20 ms of the encoder's output in a second, and those that are looked at beside an utterance.
_FRAMES = 50
_BESIDE = 10
# What another language has to be more probable by, as a logarithm, and the least probability that counts. On 45 files
# in which up to five languages follow each other, 8 % of the speech came to a part of another language, and 2 of 61
# pieces of one language were cut.
_CHANGE = 3.0
_LEAST = 1e-3
# Seconds; a shorter utterance counts less.
_FULL = 1.5


def by_language(piece: Piece, likely: Callable[[slice], dict[str, float]]) -> list[Piece]:
    """The parts, or the piece itself where the language stays the same.

    `likely` finds the probability of each language in some frames of the encoder's output. Asked of the whole, Whisper
    is sure of one of the languages, and translates the others into it or leaves them out.
    """
    spans = piece.utterances()
    if len(spans) < 2:  # noqa: PLR2004 - one
        return [piece]
    heard = [
        likely(slice(max(0, int(start * _FRAMES) - _BESIDE), int(end * _FRAMES) + _BESIDE + 1)) for start, end in spans
    ]
    languages = _most_probable(heard, [piece.spoken(*span) for span in spans])
    parts = [piece]
    for at in reversed(range(1, len(spans))):
        if languages[at] != languages[at - 1]:
            parts[:1] = parts[0].cut(spans[at - 1][1], spans[at][0])
    for part in parts:
        part.cuts = piece.cuts + (len(parts) > 1)
    return parts


def _most_probable(heard: list[dict[str, float]], seconds: list[float]) -> list[str]:
    """The language of each utterance: the most probable way through them, changes included."""
    names = list(heard[0])
    weights = np.minimum(1.0, np.asarray(seconds) / _FULL)[:, None]
    scores = weights * np.log(np.maximum([[one[name] for name in names] for one in heard], _LEAST))
    best, came = scores[0], []
    for score in scores[1:]:
        top = int(best.argmax())
        changes = best[top] - _CHANGE > best
        came.append(np.where(changes, top, np.arange(len(names))))
        best = np.where(changes, best[top] - _CHANGE, best) + score
    way = [int(best.argmax())]
    for before in reversed(came):
        way.append(int(before[way[-1]]))
    return [names[at] for at in reversed(way)]
