"""Runs Canary with onnx-asr. Its prompt names the languages of speech and text; it reports no times."""

# ruff: noqa: SLF001 - the library has no public API for these parts; its version is locked, and tests compare results

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.onnx.whole_piece import whole_piece
from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.token_choice import Choice
from asrpro_worker.messages import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.piece import Outcome, Piece

# Canary cannot detect a language. English is most of its training data.
_DEFAULT_LANGUAGE = "en"


class Canary:
    """A loaded Canary export. It decodes piece by piece, because the library's batches continue after a text's end."""

    def __init__(self, asr: Any) -> None:
        self._asr = asr
        self._commands = np.array(
            [token for token, text in asr._vocab.items() if text.startswith("<|") and token != asr._eos_token_id],
            np.int64,
        )
        memory = next(one.shape for one in asr._decoder.get_inputs() if one.name == "decoder_mems")
        self._empty_memory = np.empty((memory[0], 1, 0, memory[3]), np.float32)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        found: list[Outcome] = []
        for piece in pieces:
            alive()
            found.append(self._decode_piece(piece))
        return found

    def _decode_piece(self, piece: Piece) -> Outcome:
        asr, request = self._asr, piece.job.request
        source = piece.language or next(iter(request.languages or ()), _DEFAULT_LANGUAGE)
        tokens = asr._transcribe_input.copy()
        tokens[0, 4] = asr._tokens[f"<|{source}|>"]
        tokens[0, 5] = asr._tokens["<|en|>" if request.task == "translate" else f"<|{source}|>"]
        sound = asr._preprocessor(piece.samples[None], np.array([len(piece.samples)], np.int64))
        heard, mask = asr._encode(*sound)
        phrases = Phrases(request.hotwords, asr._vocab) if request.hotwords else None
        # The end token is always chosen if it is the most probable, like blank in other models.
        choice = Choice(phrases, self._commands, asr._eos_token_id)
        memory, written, logprobs = self._empty_memory, [], []
        for _ in range(tokens.shape[1], asr._max_sequence_length):
            scores, memory = asr._decode(tokens, heard, mask, memory)
            token, _ = choice.token(scores[0, -1])
            if token == asr._eos_token_id:
                break
            choice.advance(token)
            written.append(token)
            text = asr._vocab[token]
            logprobs.append(TokenLogprob(text, finite(float(scores[0, -1, token]), -100.0), list(text.encode())))
            tokens = np.append(tokens, [[token]], axis=1)
        return whole_piece(piece, asr._decode_tokens(written, None, None).text.strip(), logprobs)
