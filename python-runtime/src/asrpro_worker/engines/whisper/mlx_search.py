"""Beam search with CTranslate2's rules, and sampling, for the texts of several pieces at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from asrpro_worker.engines.whisper.backend import CANDIDATES, SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

Candidate = tuple[int, int, float]
"""The row of the text to continue, the next token, and the new sum of log-probabilities."""


@dataclass
class Search:
    """The unfinished and the finished texts of one piece, with the sums of their log-probabilities."""

    texts: list[list[int]] = field(default_factory=lambda: [[]])
    sums: list[float] = field(default_factory=lambda: [0.0])
    ended: list[tuple[list[int], float]] = field(default_factory=list)

    def best(self) -> tuple[list[int], float]:
        """The finished text with the highest mean log-probability; empty if none ended because of broken weights."""
        empty: list[tuple[list[int], float]] = [([], -np.inf)]
        return max(self.ended or empty, key=lambda text: text[1] / max(1, len(text[0])))

    def add_beams(self, candidates: Sequence[Candidate], width: int, end: int, *, last: bool) -> list[int]:
        """One step of a beam search. Returns the rows of the texts that continue, none if the search is over."""
        texts: list[list[int]] = []
        sums: list[float] = []
        rows: list[int] = []
        for place, (row, token, total) in enumerate(candidates):
            if token == end:
                if place < width:
                    self.ended.append((self.texts[row], total))
            elif len(texts) < width and np.isfinite(total):
                texts.append([*self.texts[row], token])
                sums.append(total)
                rows.append(row)
        if len(self.ended) >= width or last or not texts:
            self.ended += list(zip(texts, sums, strict=True)) if len(self.ended) < width else []
            texts, sums, rows = [], [], []
        self.texts, self.sums = texts, sums
        return rows

    def add_samples(self, candidates: Sequence[Candidate], end: int, *, last: bool) -> list[int]:
        """Add a sampled token to each text; returns the rows. A text that has ended keeps its row until all have."""
        texts, sums = [], []
        for row, token, total in candidates:
            text = self.texts[row]
            done = bool(text) and text[-1] == end
            texts.append(text if done else [*text, token])
            sums.append(self.sums[row] if done else total)
        rows = [row for row, _, _ in candidates]
        if last or all(text[-1] == end for text in texts):
            without_end = [[token for token in text if token != end] for text in texts]
            self.ended = list(zip(without_end, sums, strict=True))
            texts, sums, rows = [], [], []
        self.texts, self.sums = texts, sums
        return rows


def beam_candidates(scores: Any, searches: Sequence[Search], beam_size: int) -> list[list[Candidate]]:
    """The best candidates of each piece, the best first, from scores of shape (texts, vocabulary)."""
    vocabulary = scores.shape[-1]
    sums = mx.array(np.array([search.sums for search in searches], np.float32))
    flat = (scores.reshape(len(searches), -1, vocabulary) + sums[..., None]).reshape(len(searches), -1)
    if beam_size > 1:
        found = mx.argpartition(-flat, 2 * beam_size - 1, axis=-1)[:, : 2 * beam_size]
    else:
        found = mx.argmax(flat, -1, keepdims=True)
    totals = np.array(mx.take_along_axis(flat, found, axis=-1))
    order = np.argsort(-totals, axis=-1, kind="stable")
    rows, tokens = np.divmod(np.take_along_axis(np.array(found), order, -1), vocabulary)
    columns = (rows.tolist(), tokens.tolist(), np.take_along_axis(totals, order, -1).tolist())
    return [list(zip(*piece, strict=True)) for piece in zip(*columns, strict=True)]


def sampled_candidates(scores: Any, searches: Sequence[Search], temperature: float, step: int) -> list[list[Candidate]]:
    """A sampled token for each text of each piece, from scores of shape (texts, vocabulary).

    The noise depends on the step only, so a piece gets the same samples whatever other pieces are in its batch.
    """
    grouped = scores.reshape(len(searches), -1, scores.shape[-1])
    key = mx.random.key(SEED + 1000 * round(1000 * temperature) + step)
    noisy = grouped / temperature + mx.random.gumbel((CANDIDATES, scores.shape[-1]), key=key)
    tokens = mx.argmax(noisy, axis=-1)
    logprobs = mx.take_along_axis(mx.broadcast_to(grouped, noisy.shape), tokens[..., None], axis=-1)[..., 0]
    mx.eval(tokens, logprobs)
    rows = range(CANDIDATES) if grouped.shape[1] > 1 else [0] * CANDIDATES
    return [
        [(row, token, search.sums[row] + score) for row, token, score in zip(rows, chosen, found, strict=True)]
        for search, chosen, found in zip(searches, np.array(tokens).tolist(), np.array(logprobs).tolist(), strict=True)
    ]
