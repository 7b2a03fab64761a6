"""Segments and words from tokens that have a start and not always an end."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from asrpro_worker.engines.measures import ends_sentence, finite, untimed
from asrpro_worker.messages import Segment, TokenLogprob, Word
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asrpro_worker.engines.choosing import Chosen
    from asrpro_worker.messages import Transcribe
    from asrpro_worker.piece import Piece

# A token without an end lasts until the next, but not longer than this: our choice, a bit more than a slow syllable.
_TOKEN_SECONDS = 0.4
# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100
# Spaces that a tokenizer leaves before punctuation; as onnx-asr joins its tokens.
_STRAY_SPACE = re.compile(r"\A\s|\s\B|(\s)\b")


@dataclass(frozen=True)
class Token:
    """A piece of a word, with the space before it. `start` and `end` in seconds; `logprob` of its choice."""

    text: str
    start: float
    logprob: float
    end: float | None = None


def sentences(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The tokens, cut behind the ends of sentences."""
    begin = 0
    for index, token in enumerate(tokens):
        ends = ends_sentence(token.text)
        # "3.5" has no space behind the point
        followed = index + 1 == len(tokens) or tokens[index + 1].text.startswith(" ")
        if ends and followed:
            yield tokens[begin : index + 1]
            begin = index + 1
    if begin < len(tokens):
        yield tokens[begin:]


def words(tokens: Sequence[Token], end: float) -> list[Word]:
    """One word for each token that begins with a space; none ends after `end` or after the next one's start."""
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
    """A segment of the given tokens, at least one; `end` is the latest moment it may last to.

    `request` says whether words and log-probabilities are wanted.
    """
    return replace(
        untimed(f" {join(tokens)}", tokens[0].start, _end(tokens, end), seek),
        avg_logprob=sum(token.logprob for token in tokens) / len(tokens),
        words=words(tokens, end) if request.word_timestamps else None,
        logprobs=[_logprob(token) for token in tokens] if request.logprobs else None,
    )


def timed_segments(piece: Piece, heard: list[Chosen]) -> Iterator[Segment]:
    """A segment for each sentence of what was heard in a piece."""
    tokens = []
    for one in heard:
        start, end = piece.stretch(one.start, one.start if one.end is None else one.end)
        tokens.append(Token(one.text, start, finite(one.logprob, -100.0), None if one.end is None else end))
    cut = list(sentences(tokens))
    for index, sentence in enumerate(cut):
        limit = cut[index + 1][0].start if index + 1 < len(cut) else piece.end
        yield segment(sentence, limit, piece.spans[0][0] // _FRAME, piece.job.request)


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
