"""Properties of a text that several engines need, and segments without times."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, TypeVar

from asrpro_worker.messages import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asrpro_worker.messages import TokenLogprob

T = TypeVar("T")

# The escapes are full-width punctuation and closing quotes.
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "\uff1f", "\uff01")
_CLOSING = " \"'\u201d\u2019»)"
# Whisper's own limit for the compression ratio.
_MAX_COMPRESSION = 2.4


SHORTEST_WORD = 0.02
"""Seconds; one frame of Whisper."""


def ends_sentence(text: str) -> bool:
    """True if the text ends with a full stop or similar, whether or not closing quotes follow."""
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


def split_after(items: Sequence[T], is_last: Callable[[int], bool]) -> Iterator[Sequence[T]]:
    """The items in runs; a run ends after each index for which `is_last` is true, and at the end."""
    begin = 0
    for index in range(len(items)):
        if index + 1 == len(items) or is_last(index):
            yield items[begin : index + 1]
            begin = index + 1


def never_empty(spans: Sequence[tuple[float, float]], begin: float, stop: float) -> list[tuple[float, float]]:
    """Spans [start, end) in seconds, in order, without overlaps, of at least 20 ms each if there is room for that.

    They lie between `begin` and `stop`. Models put several words into one frame; subtitle players refuse or hide words
    without length.
    """
    starts = [start for start, _ in spans]
    for at in range(1, len(starts)):
        starts[at] = max(starts[at], starts[at - 1] + SHORTEST_WORD)
    limit = stop
    for at in reversed(range(len(starts))):
        starts[at] = limit = max(begin, min(starts[at], limit - SHORTEST_WORD))
    limits = [*starts[1:], stop]
    return [
        (start, min(max(end, start + SHORTEST_WORD), limit))
        for start, (_, end), limit in zip(starts, spans, limits, strict=False)
    ]


def compression_ratio(text: str) -> float:
    """Whisper's measure of repetition: the size of the text in bytes divided by its compressed size."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))


def is_repetitive(text: str) -> bool:
    """True if a model got stuck in a loop by Whisper's own limit."""
    return compression_ratio(text) > _MAX_COMPRESSION


def finite(value: float, otherwise: float = 0.0) -> float:
    """Replace NaN and infinity, which broken weights produce and the wire does not allow."""
    return float(value) if math.isfinite(value) else otherwise


def untimed(  # noqa: PLR0913 - they become a message of twelve fields
    text: str,
    start: float,
    end: float,
    seek: int,
    logprobs: Sequence[TokenLogprob] = (),
    *,
    include_logprobs: bool = False,
) -> Segment:
    """A segment for a whole piece, from a model without times. `start` and `end` in seconds, `seek` in 10 ms."""
    return Segment(
        seek=seek,
        start=start,
        end=end,
        text=text,
        avg_logprob=sum(entry.logprob for entry in logprobs) / len(logprobs) if logprobs else 0.0,
        compression_ratio=compression_ratio(text),
        logprobs=list(logprobs) if include_logprobs else None,
    )
