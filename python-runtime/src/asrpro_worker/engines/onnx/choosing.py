"""Greedy decoding of onnx-asr's transducers and CTC models, with a say in what is chosen.

The library's own loops have no place for that, and drop how long each token lasts. Its encoders and decoders are used
as they are.
"""

# ruff: noqa: SLF001 - the library has no public way to these parts; its version is locked, and tests compare the results

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_asr.asr import _AsrWithTransducerDecoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.phrases import Phrases, Places


@dataclass(frozen=True)
class Chosen:
    """A token, the seconds at which it starts and ends, and the logarithm of its probability as the model sees it.

    `end` is None where the model does not say.
    """

    text: str
    start: float
    end: float | None
    logprob: float


class Choice:
    """What is chosen in one piece: the most probable token, `foreign` ones left out, those of `phrases` preferred.

    Where blank is the most probable it stays so, because words that nobody said would come of anything else.
    """

    def __init__(self, phrases: Phrases | None, foreign: NDArray[np.int64], blank: int) -> None:
        self._phrases = phrases
        self._foreign = foreign
        self._blank = blank
        self._places: Places = phrases.start if phrases else frozenset()

    def token(self, scores: NDArray[np.float32], repeated: tuple[int, float] | None = None) -> tuple[int, float]:
        """The token for `scores` (vocabulary) and the bonus that it had.

        `repeated`: a CTC model's token of the frame before and its bonus, which it keeps while it lasts.
        """
        allowed = scores
        if len(self._foreign):
            allowed = scores.copy()
            allowed[self._foreign] = -np.inf
        best, bonus = int(allowed.argmax()), 0.0
        if best == self._blank or self._phrases is None:
            return best, bonus
        # A token of a phrase may have letters of another language.
        tokens, worth = self._phrases.bonuses(self._places)
        if len(tokens):
            boosted = scores[tokens] + worth
            first = int(boosted.argmax())
            if boosted[first] > scores[best]:
                best, bonus = int(tokens[first]), float(worth[first])
        if repeated is not None and scores[repeated[0]] + repeated[1] > scores[best] + bonus:
            return repeated
        return best, bonus

    def said(self, token: int) -> None:
        """The token became text."""
        if self._phrases is not None:
            self._places = self._phrases.after(self._places, token)


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


Found = list[tuple[int, int, int | None, float]]
"""Tokens with the frames of their start and end, and their log-probabilities."""


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
            found.append((token, at, end, _log_probability(scores, token)))
            emitted += 1
        if step > 0:
            at, emitted = at + step, 0
        elif token == blank or emitted == most:
            at, emitted = at + 1, 0
    return found


def _collapse(asr: Any, frames: NDArray[np.float32], choice: Choice) -> Found:
    blank = asr._blank_idx
    found: Found = []
    last: tuple[int, float] | None = None
    for at, scores in enumerate(frames):
        token, bonus = choice.token(scores, last)
        if token == blank:
            last = None
            continue
        logprob = float(scores[token])
        if last is not None and token == last[0]:
            found[-1] = (token, found[-1][1], None, found[-1][3] + logprob)
            continue
        found.append((token, at, None, logprob))
        choice.said(token)
        last = (token, bonus)
    return found


def _log_probability(scores: NDArray[np.float32], token: int) -> float:
    below = scores - scores.max()
    return float(below[token] - np.log(np.exp(below).sum()))
