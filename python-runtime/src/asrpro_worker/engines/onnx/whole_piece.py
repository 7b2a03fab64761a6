"""Outcomes of models without times, which write one segment per piece and can get stuck in a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import is_repetitive, untimed
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.messages import TokenLogprob
    from asrpro_worker.piece import Outcome, Piece

# A repetitive piece is split while its halves are at least 2 s long, too short for so much text.
_MIN_DIVISIBLE = 4 * RATE


def whole_piece(piece: Piece, text: str, logprobs: Sequence[TokenLogprob] = ()) -> Outcome:
    """The outcome of a piece with this text: one segment, or the two halves of the piece if the text is repetitive."""
    if is_repetitive(text):
        return piece.halves() if len(piece.samples) >= _MIN_DIVISIBLE else Heard([], piece.language)
    if not text:
        return Heard([], piece.language)
    include = piece.job.request.logprobs
    segment = untimed(f" {text}", piece.start, piece.end, piece.seek, logprobs, include_logprobs=include)
    return Heard([segment], piece.language)
