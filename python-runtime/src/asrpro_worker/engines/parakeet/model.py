"""A loaded Parakeet model, which turns pieces into sentences with times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx

from asrpro_worker.engines.token_choice import Choice, Choices, Chosen, collapse
from asrpro_worker.engines.parakeet.decoding import transduce
from asrpro_worker.engines.parakeet.features import LogMel
from asrpro_worker.engines.parakeet.network import Network
from asrpro_worker.engines.token_times import timed_segments
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from asrpro_worker.engines.token_choice import Found
    from asrpro_worker.engines.parakeet.files import ParakeetDirectory
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
        heard = self.recognize([piece.samples for piece in pieces], choices, alive)
        return [
            Heard(list(timed_segments(piece, chosen)), piece.language)
            for piece, chosen in zip(pieces, heard, strict=True)
        ]

    def recognize(
        self,
        sounds: Sequence[NDArray[np.float32]],
        choices: Sequence[Choice],
        alive: Callable[[], None] = lambda: None,
    ) -> list[list[Chosen]]:
        """The tokens of each sound (16 kHz, float32), each with its own choice."""
        encoded = []
        for sound in sounds:
            alive()
            encoded.append(self._network.encode(self._features(sound)))
            mx.eval(encoded[-1])
        alive()
        seconds = self._features.frame_seconds * self._network.subsampling
        return [
            [
                Chosen(self._directory.vocabulary[token], start * seconds, None if end is None else end * seconds, prob)
                for token, start, end, prob in found
            ]
            for found in self._decode(encoded, choices)
        ]

    def _decode(self, encoded: list[Any], choices: Sequence[Choice]) -> list[Found]:
        if self._directory.transducer:
            return transduce(self._network, self._directory, encoded, choices)
        blank = len(self._directory.vocabulary)
        return [collapse(self._network.ctc(one), choice, blank) for one, choice in zip(encoded, choices, strict=True)]
