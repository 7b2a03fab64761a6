"""Chooses the next token of a greedy decoder, with a bonus for keywords and without letters of other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.scripts import foreign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.engines.phrases import Places
    from asrpro_worker.piece import Piece


class Choice:
    """Chooses the tokens of one piece: the most probable one, without `foreign` tokens, with a bonus for `phrases`.

    If `blank` is the most probable token it is always chosen: anything else would invent words.
    """

    def __init__(self, phrases: Phrases | None, foreign: NDArray[np.int64], blank: int) -> None:
        self._phrases = phrases
        self._foreign = foreign
        self._blank = blank
        self._places: Places = phrases.start if phrases else frozenset()

    def token(self, scores: NDArray[np.float32], repeated: tuple[int, float] | None = None) -> tuple[int, float]:
        """The token for `scores`, shape (vocabulary,), and the bonus it got.

        `repeated`: the previous frame's token of a CTC model and its bonus, which it keeps while it repeats.
        """
        allowed = scores
        if len(self._foreign):
            allowed = scores.copy()
            allowed[self._foreign] = -np.inf
        best, bonus = int(allowed.argmax()), 0.0
        if best == self._blank or self._phrases is None:
            return best, bonus
        # Tokens of a phrase may have letters of other languages.
        tokens, worth = self._phrases.bonuses(self._places)
        if len(tokens):
            boosted = scores[tokens] + worth
            first = int(boosted.argmax())
            if boosted[first] > scores[best]:
                best, bonus = int(tokens[first]), float(worth[first])
        if repeated is not None and scores[repeated[0]] + repeated[1] > scores[best] + bonus:
            return repeated
        return best, bonus

    def advance(self, token: int) -> None:
        """Record that the token became text."""
        if self._phrases is not None:
            self._places = self._phrases.after(self._places, token)


class Choices:
    """Creates the `Choice` of each piece. `vocabulary` maps ids to texts, with a space at the start of a word."""

    def __init__(self, vocabulary: dict[int, str], blank: int) -> None:
        self._vocabulary = vocabulary
        self._blank = blank
        # Caches for the last request only: the many pieces of a file share them.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._foreign: dict[tuple[str, ...], NDArray[np.int64]] = {}

    def plain(self) -> Choice:
        """A choice without keywords and languages."""
        return Choice(None, np.array([], np.int64), self._blank)

    def of(self, piece: Piece) -> Choice:
        """A choice with the keywords and languages of the piece's request."""
        request = piece.job.request
        keywords = tuple(request.hotwords)
        if keywords and keywords not in self._phrases:
            self._phrases = {keywords: Phrases(keywords, self._vocabulary)}
        languages = piece.allowed_languages
        if languages not in self._foreign:
            self._foreign = {languages: np.array(foreign(self._vocabulary.items(), languages), np.int64)}
        return Choice(self._phrases.get(keywords), self._foreign[languages], self._blank)


Found = list[tuple[int, int, int | None, float]]
"""Token, first frame, end frame (None if unknown) and log-probability of each token."""


def collapse(frames: NDArray[np.float32], choice: Choice, blank: int) -> Found:
    """Greedy CTC decoding of log-probabilities of shape (frames, vocabulary)."""
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
        choice.advance(token)
        last = (token, bonus)
    return found


def log_probability(scores: NDArray[np.float32], token: int) -> float:
    """The log-probability of one token, from the scores of all tokens."""
    below = scores - scores.max()
    return float(below[token] - np.log(np.exp(below).sum()))
