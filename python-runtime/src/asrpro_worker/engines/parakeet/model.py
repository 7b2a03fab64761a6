"""A loaded Parakeet model, which turns pieces into sentences with times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx

from asrpro_worker.engines.parakeet.decoding import transduce
from asrpro_worker.engines.parakeet.features import LogMel
from asrpro_worker.engines.parakeet.network import Network
from asrpro_worker.engines.token_choice import Choices, collapse
from asrpro_worker.engines.token_times import timed_outcomes, with_times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from asrpro_worker.engines.parakeet.files import ParakeetDirectory
    from asrpro_worker.engines.token_choice import Choice, Found
    from asrpro_worker.engines.token_times import Token
    from asrpro_worker.piece import Outcome, Piece


class Parakeet:
    """A TDT, RNNT or CTC model; `compute_type` is the name of an MLX data type."""

    def __init__(self, directory: ParakeetDirectory, compute_type: str) -> None:
        self._directory = directory
        self._features = LogMel(directory.config["preprocessor"])
        self._network = Network(directory, getattr(mx, compute_type))
        self._choices = Choices(directory.vocabulary, len(directory.vocabulary))

    def warm_up(self, samples: NDArray[np.float32]) -> None:
        """Run the whole network, so that mismatched files or a failing GPU are noticed."""
        self.recognize([samples], [self._choices.plain()])

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        choices = [self._choices.of(piece) for piece in pieces]
        return timed_outcomes(pieces, self.recognize([piece.samples for piece in pieces], choices, alive))

    def recognize(
        self,
        sounds: Sequence[NDArray[np.float32]],
        choices: Sequence[Choice],
        alive: Callable[[], None] = lambda: None,
    ) -> list[list[Token]]:
        """The tokens of each sound (16 kHz, float32), each with its own choice."""
        encoded = []
        for sound in sounds:
            alive()
            encoded.append(self._network.encode(self._features(sound)))
            mx.eval(encoded[-1])
        alive()
        seconds = self._features.frame_seconds * self._network.subsampling
        return [with_times(found, self._directory.vocabulary, seconds) for found in self._decode(encoded, choices)]

    def _decode(self, encoded: list[Any], choices: Sequence[Choice]) -> list[Found]:
        if self._directory.transducer:
            return transduce(self._network, self._directory, encoded, choices)
        blank = len(self._directory.vocabulary)
        return [collapse(self._network.ctc(one), choice, blank) for one, choice in zip(encoded, choices, strict=True)]
