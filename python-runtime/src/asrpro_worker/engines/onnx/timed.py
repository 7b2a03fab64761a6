"""Transducers and CTC models by onnx-asr: a time and a probability for each token."""

# ruff: noqa: SLF001 - the library has no public way to these parts; its version is locked, and tests compare the results

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asrpro_worker.engines.choosing import Choices
from asrpro_worker.engines.onnx.hearing import hear
from asrpro_worker.engines.token_times import timed_segments
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.piece import Outcome, Piece


class Timed:
    """A loaded Parakeet, FastConformer or GigaAM."""

    def __init__(self, asr: Any) -> None:
        self._asr = asr
        self._choices = Choices(asr._vocab, asr._blank_idx)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        alive()
        heard = hear(self._asr, [piece.samples for piece in pieces], [self._choices.of(piece) for piece in pieces])
        return [
            Heard(list(timed_segments(piece, chosen)), piece.language)
            for piece, chosen in zip(pieces, heard, strict=True)
        ]
