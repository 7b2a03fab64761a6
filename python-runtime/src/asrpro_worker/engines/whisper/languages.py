"""Splits a piece at changes of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.whisper.backend import FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.piece import Piece

# Frames of the encoder's output per second, and extra frames used on both sides of an utterance.
_FRAMES_PER_SECOND = round(1 / FRAME_SECONDS)
_MARGIN = 10
# The cost of a language change in nats, and the floor for probabilities. On 45 files with up to five languages in
# sequence, 8 % of the speech was assigned to a part of another language, and 2 of 61 monolingual pieces were split.
_CHANGE_COST = 3.0
_MIN_PROBABILITY = 1e-3
# Utterances shorter than this many seconds have less weight.
_FULL_WEIGHT = 1.5


def split_by_language(piece: Piece, likely: Callable[[slice], dict[str, float]]) -> list[Piece]:
    """The parts of one language each, or only the piece itself if its language does not change.

    `likely` returns the probability of each language in a range of encoder frames. For a whole piece of several
    languages, Whisper reports one of them with certainty, and then translates or omits the others.
    """
    spans = piece.utterances()
    if len(spans) < 2:  # noqa: PLR2004 - one
        return [piece]
    heard = [
        likely(slice(max(0, int(start * _FRAMES_PER_SECOND) - _MARGIN), int(end * _FRAMES_PER_SECOND) + _MARGIN + 1))
        for start, end in spans
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
    """The language of each utterance by the Viterbi algorithm, with a cost for each change of the language."""
    names = list(heard[0])
    weights = np.minimum(1.0, np.asarray(seconds) / _FULL_WEIGHT)[:, None]
    scores = weights * np.log(np.maximum([[one[name] for name in names] for one in heard], _MIN_PROBABILITY))
    best, came = scores[0], []
    for score in scores[1:]:
        top = int(best.argmax())
        changes = best[top] - _CHANGE_COST > best
        came.append(np.where(changes, top, np.arange(len(names))))
        best = np.where(changes, best[top] - _CHANGE_COST, best) + score
    path = [int(best.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return [names[at] for at in reversed(path)]
