"""What decodes Whisper: five calls, of which CTranslate2 is one implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TOKENS = 448
"""What the decoder of every Whisper holds, prompt and text together."""

MOST_SAID = MOST_TOKENS // 2
"""Of the text alone: CTranslate2 stops there without a word, and no Whisper was trained on more."""

Encoded = Any
"""One piece behind the encoder: an array of the backend's own, of shape (1, frames of 20 ms, width), or a part."""


@dataclass(frozen=True)
class BackendFacts:
    """What is in force. `together` pieces are best encoded in one call, and `calls` may run at a time.

    `any_length`: the encoder takes windows shorter than 30 s, at less cost.
    """

    multilingual: bool
    mels: int
    compute_type: str
    together: int
    calls: int = 1
    any_length: bool = False


@dataclass(frozen=True)
class Options:
    """Of one `generate`, for all pieces in it. A temperature above 0 draws at random, the best of several texts.

    `most_tokens` counts prompt and text. `silenced` tokens are not said, nor those that the model says itself.
    """

    beam_size: int
    temperature: float
    most_tokens: int = MOST_TOKENS
    silenced: range = range(0)


@dataclass(frozen=True)
class Generated:
    """Tokens with what the decoder thought of them; `logprob` is the mean of the tokens and the end."""

    tokens: list[int]
    logprob: float
    no_speech: float


@dataclass(frozen=True)
class Aligned:
    """For each text token its probability, and when it begins: the frame of 20 ms; one more for the end of the last."""

    starts: list[int]
    probabilities: list[float]


class Backend(Protocol):
    """Whisper's weights. The results of a piece do not depend on the others in its call."""

    def facts(self) -> BackendFacts:
        """See BackendFacts."""
        ...

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """Features of shape (mels, 3000) each, or of fewer frames, the same number each, where any length is taken."""
        ...

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """Texts that go on from the prompts, which are of one length with their commands in the same places."""
        ...

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """Where tokens are spoken, in pieces of so many frames of 10 ms; None where that cannot be found."""
        ...

    def detect_language(self, encoded: list[Encoded]) -> list[dict[str, float]]:
        """The probability of each language, the most probable first, for each piece."""
        ...
