"""An engine without a model, for replicas. It takes 0.2 s for a batch, dies of pieces in Klingon, and never answers
pieces in Latin, except for a batch with the beginning of a file."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import untimed
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.messages import Capabilities, ProbedDevice
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.messages import Load
    from asrpro_worker.piece import Outcome, Piece

SECONDS = 0.2


class Fake:
    """Takes 0.2 s for each batch."""

    def load(self, request: Load, phase: Callable[..., None]) -> Facts:
        phase("weights")
        capabilities = Capabilities(
            tasks=["transcribe"],
            word_timestamps=False,
            logprobs=False,
            prompt=False,
            temperature=False,
            hotwords=False,
            detects_language=False,
            neutral=[],
        )
        return Facts(request.device, "none", 1, 8, ["en", "la", "tlh"], capabilities)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        alive()
        time.sleep(SECONDS)
        if any(piece.language == "tlh" for piece in pieces):
            os._exit(3)
        if all(piece.language == "la" and piece.start > 0 for piece in pieces):
            threading.Event().wait()
        return [Heard([untimed(f" {len(piece.samples)}", piece.start, piece.end, 0)], "en") for piece in pieces]

    def probe(self, device: str) -> ProbedDevice:
        return ProbedDevice(device, usable=True, compute_types=[], reason=None)


def create() -> Fake:
    return Fake()
