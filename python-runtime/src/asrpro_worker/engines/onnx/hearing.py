"""Greedy decoding of onnx-asr's transducers and CTC models, with a say in what is chosen.

The library's own loops have no place for that, and drop how long each token lasts. Its encoders and decoders are used
as they are.
"""

# ruff: noqa: SLF001 - the library has no public way to these parts; its version is locked, and tests compare the results

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_asr.asr import _AsrWithTransducerDecoding

from asrpro_worker.engines.choosing import Chosen, collapse, log_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.choosing import Choice, Found


def hear(asr: Any, sounds: Sequence[NDArray[np.float32]], choices: Sequence[Choice]) -> list[list[Chosen]]:
    """The tokens of each sound (16 kHz, float32), with its own choice."""
    lengths = np.array([len(sound) for sound in sounds], np.int64)
    padded = np.zeros((len(sounds), lengths.max()), np.float32)
    for row, sound in zip(padded, sounds, strict=True):
        row[: len(sound)] = sound
    frames, counts = asr._encode(*asr._preprocessor(padded, lengths))
    decode = _transduce if isinstance(asr, _AsrWithTransducerDecoding) else _collapse
    seconds = asr.window_step * asr._subsampling_factor
    return [
        [
            Chosen(asr._vocab[token], start * seconds, None if end is None else end * seconds, logprob)
            for token, start, end, logprob in decode(asr, heard[:count], choice)
        ]
        for heard, count, choice in zip(frames, counts, choices, strict=True)
    ]


def _transduce(asr: Any, frames: NDArray[np.float32], choice: Choice) -> Found:
    blank, most = asr._blank_idx, asr._max_tokens_per_step
    found: Found = []
    said: list[int] = []
    state, at, emitted = asr._create_state(), 0, 0
    while at < len(frames):
        scores, step, following = asr._decode(said, state, frames[at])
        token, _ = choice.token(scores)
        if token != blank:
            state = following
            said.append(token)
            choice.said(token)
            # TDT says how many frames a token lasts, 0 where the next one is in the same frame; RNNT answers -1.
            end = at + max(1, step) if step >= 0 else None
            found.append((token, at, end, log_probability(scores, token)))
            emitted += 1
        if step > 0:
            at, emitted = at + step, 0
        elif token == blank or emitted == most:
            at, emitted = at + 1, 0
    return found


def _collapse(asr: Any, frames: NDArray[np.float32], choice: Choice) -> Found:
    return collapse(frames, choice, asr._blank_idx)
