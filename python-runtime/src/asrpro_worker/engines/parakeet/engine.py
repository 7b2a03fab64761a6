"""The engine `parakeet-mlx`: Parakeet on the GPU of a Mac."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from asrpro_worker.engines.parakeet import devices
from asrpro_worker.engines.parakeet.files import check_directory, load_error
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.errors import WorkerError
from asrpro_worker.machine import thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.parakeet.model import Parakeet
    from asrpro_worker.messages import Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece

# The pieces of a batch are decoded in lockstep, so they share each wait for the GPU. Not measured on a Mac yet.
_PIECES_ON_GPU = 8


class ParakeetMlx:
    """TDT, RNNT and CTC models in MLX format, with a time for each token."""

    def __init__(self) -> None:
        self._model: Parakeet | None = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load."""
        directory = check_directory(request.model.path)
        device = devices.resolve(request.device)
        compute_type = devices.resolve_compute_type(device, request.compute_type)
        phase("weights")
        try:
            # MLX is installed on Macs only.
            from asrpro_worker.engines.parakeet.model import Parakeet

            model = Parakeet(directory, compute_type)
            phase("warm-up")
            model.warm_up(np.zeros(RATE, np.float32))
        except Exception as error:
            raise load_error(error) from error
        self._model = model
        return Facts(
            device=device,
            compute_type=compute_type,
            threads=thread_count(request.threads),
            batch=request.concurrency or (_PIECES_ON_GPU if device == "mps" else 1),
            # The files do not list the languages.
            languages=request.model.languages or [],
            capabilities=Capabilities(
                tasks=["transcribe"],
                word_timestamps=True,
                logprobs=True,
                prompt=False,
                temperature=False,
                hotwords=True,
                detects_language=False,
                neutral=["tokens", "no_speech_prob"],
            ),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        if self._model is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        return self._model.decode(pieces, alive)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)


create = ParakeetMlx
