"""What a transducer or CTC model says next: its most probable token, with a say in what is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.scripts import foreign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.engines.phrases import Places
    from asrpro_worker.piece import Piece


@dataclass(frozen=True)
class Chosen:
    """A token, the seconds at which it starts and ends, and the logarithm of its probability as the model sees it.

    `end` is None where the model does not say.
    """

    text: str
    start: float
    end: float | None
    logprob: float


class Choice:
    """What is chosen in one piece: the most probable token, `foreign` ones left out, those of `phrases` preferred.

    Where blank is the most probable it stays so, because words that nobody said would come of anything else.
    """

    def __init__(self, phrases: Phrases | None, foreign: NDArray[np.int64], blank: int) -> None:
        self._phrases = phrases
        self._foreign = foreign
        self._blank = blank
        self._places: Places = phrases.start if phrases else frozenset()

    def token(self, scores: NDArray[np.float32], repeated: tuple[int, float] | None = None) -> tuple[int, float]:
        """The token for `scores` (vocabulary) and the bonus that it had.

        `repeated`: a CTC model's token of the frame before and its bonus, which it keeps while it lasts.
        """
        allowed = scores
        if len(self._foreign):
            allowed = scores.copy()
            allowed[self._foreign] = -np.inf
        best, bonus = int(allowed.argmax()), 0.0
        if best == self._blank or self._phrases is None:
            return best, bonus
        # A token of a phrase may have letters of another language.
        tokens, worth = self._phrases.bonuses(self._places)
        if len(tokens):
            boosted = scores[tokens] + worth
            first = int(boosted.argmax())
            if boosted[first] > scores[best]:
                best, bonus = int(tokens[first]), float(worth[first])
        if repeated is not None and scores[repeated[0]] + repeated[1] > scores[best] + bonus:
            return repeated
        return best, bonus

    def said(self, token: int) -> None:
        """The token became text."""
        if self._phrases is not None:
            self._places = self._phrases.after(self._places, token)


class Choices:
    """Makes the choice of each piece. `vocabulary` holds the texts by id, with a space before a word."""

    def __init__(self, vocabulary: dict[int, str], blank: int) -> None:
        self._vocabulary = vocabulary
        self._blank = blank
        # Of the last request only: one file has many pieces.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._foreign: dict[tuple[str, ...], NDArray[np.int64]] = {}

    def plain(self) -> Choice:
        """Of what nobody asked anything for."""
        return Choice(None, np.array([], np.int64), self._blank)

    def of(self, piece: Piece) -> Choice:
        """The keywords and languages that its request asks for."""
        request = piece.job.request
        wanted = tuple(request.hotwords)
        if wanted and wanted not in self._phrases:
            self._phrases = {wanted: Phrases(wanted, self._vocabulary)}
        languages = tuple([piece.language] if piece.language else request.languages or [])
        if languages not in self._foreign:
            self._foreign = {languages: np.array(foreign(self._vocabulary.items(), languages), np.int64)}
        return Choice(self._phrases.get(wanted), self._foreign[languages], self._blank)


Found = list[tuple[int, int, int | None, float]]
"""Tokens with the frames of their start and end, and their log-probabilities."""


def collapse(frames: NDArray[np.float32], choice: Choice, blank: int) -> Found:
    """The tokens of a CTC model's log-probabilities (frames, vocabulary)."""
    found: Found = []
    last: tuple[int, float] | None = None
    for at, scores in enumerate(frames):
        token, bonus = choice.token(scores, last)
        if token == blank:
            last = None
            continue
        logprob = float(scores[token])
        if last is not None and token == last[0]:
            found[-1] = (token, found[-1][1], None, found[-1][3] + logprob)
            continue
        found.append((token, at, None, logprob))
        choice.said(token)
        last = (token, bonus)
    return found


def log_probability(scores: NDArray[np.float32], token: int) -> float:
    """Of one token among all of them."""
    below = scores - scores.max()
    return float(below[token] - np.log(np.exp(below).sum()))
