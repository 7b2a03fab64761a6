"""Builds segments and words from tokens that have a start time but not always an end time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from asrpro_worker.engines.measures import ends_sentence, finite, split_after, untimed
from asrpro_worker.messages import Segment, TokenLogprob, Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asrpro_worker.engines.token_choice import Chosen
    from asrpro_worker.messages import Transcribe
    from asrpro_worker.piece import Piece

# A token without an end lasts until the next one, at most this long. Our choice: a little more than a slow syllable.
_TOKEN_SECONDS = 0.4
# Spaces that a tokenizer leaves before punctuation, removed as onnx-asr does.
_STRAY_SPACE = re.compile(r"\A\s|\s\B|(\s)\b")


@dataclass(frozen=True)
class Token:
    """A part of a word, with the space before it. `start` and `end` in seconds; `end` is None if unknown."""

    text: str
    start: float
    logprob: float
    end: float | None = None


def sentences(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The tokens of each sentence. "3.5" is no end of a sentence, because no space follows the point."""
    return split_after(
        tokens, lambda index: ends_sentence(tokens[index].text) and tokens[index + 1].text.startswith(" ")
    )


def words(tokens: Sequence[Token], end: float) -> list[Word]:
    """The words of the tokens; a word begins at a space. No word ends after `end` or after the next word's start."""
    groups: list[list[Token]] = []
    for token in tokens:
        if token.text.startswith(" ") or not groups:
            groups.append([])
        groups[-1].append(token)
    found = []
    for index, group in enumerate(groups):
        text = join(group)
        limit = groups[index + 1][0].start if index + 1 < len(groups) else end
        if text:
            found.append(Word(text, group[0].start, _end(group, limit), _probability(group)))
    return found


def segment(tokens: Sequence[Token], end: float, seek: int, request: Transcribe) -> Segment:
    """A segment of at least one token that ends at `end` seconds at the latest.

    It has words and log-probabilities if `request` asks for them.
    """
    return replace(
        untimed(f" {join(tokens)}", tokens[0].start, _end(tokens, end), seek),
        avg_logprob=sum(token.logprob for token in tokens) / len(tokens),
        words=words(tokens, end) if request.word_timestamps else None,
        logprobs=[_logprob(token) for token in tokens] if request.logprobs else None,
    )


def timed_segments(piece: Piece, heard: list[Chosen]) -> Iterator[Segment]:
    """One segment for each sentence of a piece's tokens."""
    tokens = []
    for one in heard:
        start, end = piece.file_times(one.start, one.start if one.end is None else one.end)
        tokens.append(Token(one.text, start, finite(one.logprob, -100.0), None if one.end is None else end))
    found = list(sentences(tokens))
    for index, sentence in enumerate(found):
        limit = found[index + 1][0].start if index + 1 < len(found) else piece.end
        yield segment(sentence, limit, piece.seek, piece.job.request)


def join(tokens: Sequence[Token]) -> str:
    """The text of the tokens, without a space at its start."""
    return _STRAY_SPACE.sub(lambda found: " " if found[1] else "", "".join(token.text for token in tokens)).strip()


def _end(tokens: Sequence[Token], limit: float) -> float:
    last = tokens[-1].start + _TOKEN_SECONDS if tokens[-1].end is None else tokens[-1].end
    return max(tokens[0].start, min(limit, last))


def _probability(tokens: Sequence[Token]) -> float:
    return math.exp(sum(token.logprob for token in tokens) / len(tokens))


def _logprob(token: Token) -> TokenLogprob:
    return TokenLogprob(token.text, token.logprob, list(token.text.encode()))
