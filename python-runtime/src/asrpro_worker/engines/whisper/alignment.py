"""Words and sentences with their times, from the alignment of a piece's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import ends_sentence
from asrpro_worker.messages import Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.engines.whisper.backend import Aligned
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.piece import Piece

_FRAME = 0.02
# Alignment gives pauses to the words beside them. No word is longer than this in seconds, or than twice the usual one.
_LONGEST_WORD = 0.8
# A sentence ends where nobody speaks for so many seconds, too.
_SILENCE = 1.0


@dataclass(frozen=True)
class Spoken:
    """A word as it stands in the text, its tokens and its time in the file."""

    text: str
    tokens: list[int]
    word: Word


def spoken_words(tokens: Tokens, ids: list[int], aligned: Aligned, language: str | None, piece: Piece) -> list[Spoken]:
    """The words of a piece, in order and inside of it."""
    groups = [(text, part) for text, part in tokens.words(ids, language) if part]
    spans: list[tuple[float, float]] = []
    at = 0
    for _, part in groups:
        spans.append((aligned.starts[at] * _FRAME, aligned.starts[at + len(part)] * _FRAME))
        at += len(part)
    lengths = [end - start for start, end in spans if end > start]
    longest = max(_LONGEST_WORD, 2 * median(lengths)) if lengths else 0.0
    found: list[Spoken] = []
    last, at = piece.start, 0
    for index, ((text, part), (start, end)) in enumerate(zip(groups, spans, strict=True)):
        if end - start > longest:
            # a pause is heard as part of the word before it, except where a sentence begins
            begins = index == 0 or ends_sentence(groups[index - 1][0])
            start, end = (end - longest, end) if begins else (start, start + longest)  # noqa: PLW2901
        first, stop = piece.stretch(start, end)
        first, last = max(last, first), max(last, first, stop)
        probability = fmean(aligned.probabilities[at : at + len(part)])
        at += len(part)
        found.append(Spoken(text, part, Word(text.strip(), first, last, probability)))
    return found


def sentences(words: list[Spoken]) -> Iterator[list[Spoken]]:
    """The words, cut behind the ends of sentences and at silences."""
    begin = 0
    for index, spoken in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following is None or ends_sentence(spoken.text) or following.word.start - spoken.word.end > _SILENCE:
            yield words[begin : index + 1]
            begin = index + 1
