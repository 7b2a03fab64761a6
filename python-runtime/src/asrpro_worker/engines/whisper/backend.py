"""The interface of five calls to Whisper's weights, which CTranslate2 and MLX implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TOKENS = 448
"""Whisper's decoder holds this many tokens, prompt and text together."""

MAX_TEXT_TOKENS = MAX_TOKENS // 2
"""Limit of the text alone: CTranslate2 silently stops there, and Whisper was not trained on longer texts."""

FRAME_SECONDS = 0.02
"""Length of one frame of the encoder's output."""

CANDIDATES = 5
"""At a temperature above 0 so many texts are sampled, and the most probable is used: faster-whisper's number."""

SEED = 0

Encoded = Any
"""The encoder's output for one piece: the backend's own array type, shape (1, frames of 20 ms, width), or a slice."""


@dataclass(frozen=True)
class BackendFacts:
    """The settings in use. `encoder_batch`: the best number of pieces for one call of `encode`.

    `calls`: how many calls may run at the same time. `any_length`: the encoder accepts windows shorter than 30 s, which
    cost less. `aligns`: the model states which attention heads give the times of words.
    """

    multilingual: bool
    mels: int
    compute_type: str
    encoder_batch: int
    calls: int = 1
    any_length: bool = False
    aligns: bool = True


@dataclass(frozen=True)
class Options:
    """Options of one call of `generate`. A temperature above 0 samples CANDIDATES texts and returns the best.

    `max_tokens` counts prompt and text. `suppressed` tokens are not generated, nor those of the model's configuration.
    """

    beam_size: int
    temperature: float
    max_tokens: int = MAX_TOKENS
    suppressed: range = range(0)


@dataclass(frozen=True)
class Generated:
    """The tokens of a text, their mean log-probability (the end token included) and the no-speech probability."""

    tokens: list[int]
    logprob: float
    no_speech: float


@dataclass(frozen=True)
class Aligned:
    """`starts`: the first frame (20 ms) of each text token, and the end of the last. `probabilities`: one per token."""

    starts: list[int]
    probabilities: list[float]


class Backend(Protocol):
    """Whisper's weights. The result of a piece must not depend on the other pieces in a call."""

    def facts(self) -> BackendFacts:
        """The settings in use."""
        ...

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """Encode features of shape (mels, 3000) each; with `any_length` also of fewer frames, equal for all."""
        ...

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """Texts that continue the prompts. All prompts have the same length and the same positions of commands."""
        ...

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """The times of the tokens in pieces of `frames` (10 ms) each; None where alignment fails."""
        ...

    def detect_language(self, encoded: list[Encoded]) -> list[dict[str, float]]:
        """The probability of each language for each piece, the most probable first."""
        ...
