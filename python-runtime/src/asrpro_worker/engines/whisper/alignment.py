"""Computes the times of words and sentences from the alignment of a piece's tokens."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import ends_sentence, split_after
from asrpro_worker.engines.whisper.backend import FRAME_SECONDS
from asrpro_worker.messages import Word
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asrpro_worker.engines.whisper.backend import Aligned
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.piece import Piece

# Alignment adds pauses to the words beside them. Longer words than this, in seconds, and than twice the median are cut.
_MAX_WORD = 0.8
# A pause of more seconds than this also ends a sentence.
_PAUSE = 1.0


@dataclass(frozen=True)
class Spoken:
    """A word as written in the text, its tokens, and its time in the file."""

    text: str
    tokens: list[int]
    word: Word


def spoken_words(tokens: Tokens, ids: list[int], aligned: Aligned, language: str | None, piece: Piece) -> list[Spoken]:
    """The words of a piece, in order; their times lie within the piece."""
    groups = [(text, part) for text, part in tokens.words(ids, language) if part]
    firsts = itertools.accumulate((len(part) for _, part in groups), initial=0)
    edges = _distinct([aligned.starts[at] for at in firsts], round(len(piece.samples) / RATE / FRAME_SECONDS))
    spans = [(start * FRAME_SECONDS, end * FRAME_SECONDS) for start, end in itertools.pairwise(edges)]
    lengths = [end - start for start, end in spans if end > start]
    longest = max(_MAX_WORD, 2 * median(lengths)) if lengths else 0.0
    found: list[Spoken] = []
    last, at = piece.start, 0
    for index, ((text, part), (start, end)) in enumerate(zip(groups, spans, strict=True)):
        if end - start > longest:
            # A pause counts as part of the word before it, except at the beginning of a sentence.
            begins = index == 0 or ends_sentence(groups[index - 1][0])
            start, end = (end - longest, end) if begins else (start, start + longest)  # noqa: PLW2901
        first, stop = piece.file_times(start, end)
        first, last = max(last, first), max(last, first, stop)
        probability = fmean(aligned.probabilities[at : at + len(part)])
        at += len(part)
        found.append(Spoken(text, part, Word(text.strip(), first, last, probability)))
    return found


def _distinct(edges: list[int], frames: int) -> list[int]:
    """The edges between words, at least one frame apart while `frames` are enough, so that no word is empty."""
    for at in range(1, len(edges)):
        edges[at] = max(edges[at], edges[at - 1] + 1)
    limit = frames
    for at in reversed(range(len(edges))):
        edges[at] = limit = max(0, min(edges[at], limit))
        limit -= 1
    return edges


def sentences(words: Sequence[Spoken]) -> Iterator[Sequence[Spoken]]:
    """The words of each sentence; a sentence ends at its punctuation or at a pause."""
    return split_after(
        words,
        lambda at: ends_sentence(words[at].text) or words[at + 1].word.start - words[at].word.end > _PAUSE,
    )
