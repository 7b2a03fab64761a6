"""Builds segments and words from tokens with times; not every token has an end."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from asrpro_worker.engines.measures import SHORTEST_WORD, ends_sentence, finite, never_empty, split_after, untimed
from asrpro_worker.messages import Segment, TokenLogprob, Word
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asrpro_worker.engines.token_choice import Found
    from asrpro_worker.messages import Transcribe
    from asrpro_worker.piece import Outcome, Piece

# A token without an end lasts until the next one, at most this long. Our choice: a little more than a slow syllable.
_TOKEN_SECONDS = 0.4
# Spaces that a tokenizer leaves before punctuation, removed as onnx-asr does.
_STRAY_SPACE = re.compile(r"\A\s|\s\B|(\s)\b")


@dataclass(frozen=True)
class Token:
    """A part of a word, with the space before it. Times in seconds; `end` is None if the model reports none."""

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
    """The words of the tokens. No word is empty, or ends after `end` or after the next word's start."""
    groups = [group for group in _by_word(tokens) if join(group)]
    spans = never_empty([(group[0].start, _end(group, end)) for group in groups], tokens[0].start, end)
    return [
        Word(join(group), start, stop, _probability(group)) for group, (start, stop) in zip(groups, spans, strict=True)
    ]


def _by_word(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The tokens of each word; a word begins at a space."""
    return list(split_after(tokens, lambda index: tokens[index + 1].text.startswith(" ")))


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


def with_times(found: Found, vocabulary: Mapping[int, str], frame_seconds: float) -> list[Token]:
    """The tokens that a greedy decoder found, with times in the piece."""
    return [
        Token(vocabulary[token], start * frame_seconds, logprob, None if end is None else end * frame_seconds)
        for token, start, end, logprob in found
    ]


def timed_outcomes(pieces: Iterable[Piece], tokens: Iterable[list[Token]]) -> list[Outcome]:
    """The outcome of each piece: one segment for each sentence of its tokens."""
    return [
        Heard(list(_timed_segments(piece, found)), piece.language) for piece, found in zip(pieces, tokens, strict=True)
    ]


def _timed_segments(piece: Piece, tokens: list[Token]) -> Iterator[Segment]:
    in_file = []
    for token in tokens:
        start, end = piece.file_times(token.start, token.start if token.end is None else token.end)
        in_file.append(Token(token.text, start, finite(token.logprob, -100.0), None if token.end is None else end))
    found = list(sentences(list(_distinct_words(in_file, piece))))
    for index, sentence in enumerate(found):
        limit = found[index + 1][0].start if index + 1 < len(found) else piece.end
        yield segment(sentence, limit, piece.seek, piece.job.request)


def _distinct_words(tokens: list[Token], piece: Piece) -> Iterator[Token]:
    """The tokens, with words that begin in the same frame moved apart, across sentences too."""
    if not tokens:
        return
    groups = _by_word(tokens)
    starts = never_empty([(group[0].start, group[0].start) for group in groups], piece.start, piece.end)
    for group, (start, _) in zip(groups, starts, strict=True):
        yield dataclasses.replace(group[0], start=start)
        for token in group[1:]:
            yield dataclasses.replace(token, start=max(start, token.start))


def join(tokens: Sequence[Token]) -> str:
    """The text of the tokens, without a space at its start."""
    return _STRAY_SPACE.sub(lambda found: " " if found[1] else "", "".join(token.text for token in tokens)).strip()


def _end(tokens: Sequence[Token], limit: float) -> float:
    last = tokens[-1]
    end = last.start + _TOKEN_SECONDS if last.end is None else max(last.end, last.start + SHORTEST_WORD)
    return max(tokens[0].start, min(limit, end))


def _probability(tokens: Sequence[Token]) -> float:
    return math.exp(sum(token.logprob for token in tokens) / len(tokens))


def _logprob(token: Token) -> TokenLogprob:
    return TokenLogprob(token.text, token.logprob, list(token.text.encode()))
