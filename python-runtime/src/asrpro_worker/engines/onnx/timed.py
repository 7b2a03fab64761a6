"""Greedy decoding of onnx-asr's transducers and CTC models, with a time and a probability for each token.

The library's own decoding loops cannot prefer keywords, and drop the durations of tokens. Its encoders and decoders are
used unchanged.
"""

# ruff: noqa: SLF001 - the library has no public API for these parts; its version is locked, and tests compare results

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_asr.asr import _AsrWithTransducerDecoding

from asrpro_worker.engines.token_choice import Choices, collapse, log_probability
from asrpro_worker.engines.token_times import timed_outcomes, with_times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.token_choice import Choice, Found
    from asrpro_worker.engines.token_times import Token
    from asrpro_worker.piece import Outcome, Piece


class Timed:
    """A loaded Parakeet, FastConformer or GigaAM."""

    def __init__(self, asr: Any) -> None:
        self._asr = asr
        self._choices = Choices(asr._vocab, asr._blank_idx)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        alive()
        choices = [self._choices.of(piece) for piece in pieces]
        return timed_outcomes(pieces, recognize(self._asr, [piece.samples for piece in pieces], choices))


def recognize(asr: Any, sounds: Sequence[NDArray[np.float32]], choices: Sequence[Choice]) -> list[list[Token]]:
    """The tokens of each sound (16 kHz, float32), each with its own choice."""
    lengths = np.array([len(sound) for sound in sounds], np.int64)
    padded = np.zeros((len(sounds), lengths.max()), np.float32)
    for row, sound in zip(padded, sounds, strict=True):
        row[: len(sound)] = sound
    encoded, counts = asr._encode(*asr._preprocessor(padded, lengths))
    seconds = asr.window_step * asr._subsampling_factor
    return [
        with_times(_decode(asr, frames[:count], choice), asr._vocab, seconds)
        for frames, count, choice in zip(encoded, counts, choices, strict=True)
    ]


def _decode(asr: Any, frames: NDArray[np.float32], choice: Choice) -> Found:
    if not isinstance(asr, _AsrWithTransducerDecoding):
        return collapse(frames, choice, asr._blank_idx)
    found: Found = []
    tokens: list[int] = []
    state, at, emitted = asr._create_state(), 0, 0
    while at < len(frames):
        scores, step, following = asr._decode(tokens, state, frames[at])
        token, _ = choice.token(scores)
        if token != asr._blank_idx:
            state = following
            tokens.append(token)
            choice.advance(token)
            # TDT reports how many frames a token lasts, 0 if the next one is in the same frame. RNNT reports -1.
            end = at + max(1, step) if step >= 0 else None
            found.append((token, at, end, log_probability(scores, token)))
            emitted += 1
        if step > 0:
            at, emitted = at + step, 0
        elif token == asr._blank_idx or emitted == asr._max_tokens_per_step:
            at, emitted = at + 1, 0
    return found
