"""What several engines tell of a text, in one form."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

from asrpro_worker.messages import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.messages import TokenLogprob

# Escaped are the wide forms, and the closing quotes of most languages.
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "\uff1f", "\uff01")
_CLOSING = " \"'\u201d\u2019»)"


def ends_sentence(text: str) -> bool:
    """Does it end with a full stop or the like, quotes behind it or not?"""
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


def compression_ratio(text: str) -> float:
    """Whisper's measure of repetition: bytes of the text by bytes when compressed."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))


def finite(value: float, otherwise: float = 0.0) -> float:
    """Numbers on the wire are finite; a model with broken weights can make others."""
    return float(value) if math.isfinite(value) else otherwise


def untimed(  # noqa: PLR0913 - they become a message of twelve fields
    text: str,
    start: float,
    end: float,
    seek: int,
    logprobs: Sequence[TokenLogprob] = (),
    *,
    told: bool = False,
) -> Segment:
    """A piece as one segment, for a model that has no times and perhaps log-probabilities, which may be `told`."""
    return Segment(
        seek=seek,
        start=start,
        end=end,
        text=text,
        avg_logprob=sum(entry.logprob for entry in logprobs) / len(logprobs) if logprobs else 0.0,
        compression_ratio=compression_ratio(text),
        logprobs=list(logprobs) if told else None,
    )
