"""A piece as one segment, for models that write text without times and can fall into repeating it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import compression_ratio, untimed
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.messages import TokenLogprob
    from asrpro_worker.piece import Outcome, Piece

# As Whisper's own: a text that is packed better than this says the same again and again.
_MOST_PACKED = 2.4
# A piece that repeats itself is cut in two while its halves are at least this long; 2 s cannot hold so much text.
_SHORTEST = 2 * RATE
# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100


def whole(piece: Piece, text: str, logprobs: Sequence[TokenLogprob] = ()) -> Outcome:
    """The outcome of a piece with this text: nothing for none, and its halves where the text repeats itself."""
    if text and compression_ratio(text) > _MOST_PACKED:
        return piece.halves() if len(piece.samples) >= 2 * _SHORTEST else Heard([], piece.language)
    if not text:
        return Heard([], piece.language)
    seek, told = piece.spans[0][0] // _FRAME, piece.job.request.logprobs
    return Heard([untimed(f" {text}", piece.start, piece.end, seek, logprobs, told=told)], piece.language)
