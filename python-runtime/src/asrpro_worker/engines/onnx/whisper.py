"""Runs Whisper with onnx-asr: greedy decoding with a prompt, a bonus for keywords and a choice of languages.

Keywords are not put into the prompt here: 60 unrelated ones raised the error rate of tiny.en from 12.6 to 16.1 % of 453
words.
"""

# ruff: noqa: SLF001 - the library has no public API for these parts; its version is locked, and tests compare results

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from onnx_asr.utils import pad_list

from asrpro_worker.engines.onnx.whole_piece import whole_piece
from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.token_choice import Choice
from asrpro_worker.engines.whisper.backend import MAX_TOKENS
from asrpro_worker.engines.whisper.prompt import context
from asrpro_worker.piece import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.piece import Outcome, Piece

_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


class OnnxWhisper:
    """A loaded Whisper export. `languages`: the codes that it accepts; empty for an English-only model."""

    def __init__(self, asr: Any, languages: Sequence[str]) -> None:
        self._asr = asr
        self._languages = {code: int(asr._tokens[f"<|{code}|>"]) for code in languages}
        # Cache for the last request only: the many pieces of a file share it.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._texts: dict[int, str] = {}
        self._letters = {byte: letter for letter, byte in asr._byte_decoder.items()}

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. Pieces of one call have the same prompt."""
        outcomes: dict[Piece, Outcome] = {}
        for group in grouped(pieces, self._prompt):
            alive()
            outcomes.update(zip(group, self._decode_group(group), strict=True))
        return [outcomes[piece] for piece in pieces]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text. The order of the vocabulary is that of the merges, so merges.txt is not needed."""
        known = self._asr._tokens
        found: list[int] = []
        for word in _WORDS.findall(text):
            parts = [self._letters[byte] for byte in word.encode()]
            while True:
                ranks = [known.get(left + right, len(known)) for left, right in itertools.pairwise(parts)]
                if not ranks or (best := min(ranks)) == len(known):
                    break
                at = ranks.index(best)
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            found += [known[part] for part in parts]
        return found

    def _prompt(self, piece: Piece) -> tuple[int, ...]:
        tokens = context(cast("Tokens", self), piece.job.request, keywords=False)
        return (self._asr._tokens["<|startofprev|>"], *tokens) if tokens else ()

    def _decode_group(self, pieces: list[Piece]) -> list[Outcome]:
        asr = self._asr
        encoded = asr._encode(*pad_list([piece.samples for piece in pieces]))
        start = np.repeat(asr._transcribe_input, len(pieces), axis=0)
        start[:, 1] = self._language_tokens(pieces, encoded)
        prompt = np.array(self._prompt(pieces[0]), np.int64)
        tokens = np.hstack((np.tile(prompt, (len(pieces), 1)), start))
        if any(piece.job.request.hotwords for piece in pieces):
            texts = self._generate(encoded, tokens, [self._choice(piece) for piece in pieces])
        else:
            texts = asr._decoding(encoded, tokens)
        return [
            whole_piece(piece, asr._decode_tokens(text).text.strip())
            for piece, text in zip(pieces, texts[:, tokens.shape[1] :], strict=True)
        ]

    def _choice(self, piece: Piece) -> Choice:
        keywords = tuple(piece.job.request.hotwords)
        if keywords and keywords not in self._phrases:
            self._texts = self._texts or self._text_tokens()
            self._phrases = {keywords: Phrases(keywords, self._texts)}
        # The end token is always chosen if it is the most probable, like blank in other models.
        return Choice(self._phrases.get(keywords), np.array([], np.int64), self._asr._eos_token_id)

    def _text_tokens(self) -> dict[int, str]:
        """The tokens that are valid text on their own: no commands, no parts of characters."""
        found: dict[int, str] = {}
        for token, text in self._asr._vocab.items():
            with contextlib.suppress(KeyError, UnicodeDecodeError):
                found[token] = bytes(self._asr._byte_decoder[letter] for letter in text).decode()
        return found

    def _generate(self, encoded: Any, tokens: NDArray[np.int64], choices: list[Choice]) -> NDArray[np.int64]:
        """Greedy decoding with a choice per row; returns the tokens, prompt included."""
        asr, state = self._asr, self._asr._create_state()
        for _ in range(tokens.shape[1], MAX_TOKENS):
            scores, state = asr._decode(tokens, state, encoded)
            following = []
            for row, choice, last in zip(scores[:, -1], choices, tokens[:, -1], strict=True):
                token = asr._eos_token_id if last == asr._eos_token_id else choice.token(row)[0]
                choice.advance(token)
                following.append(token)
            tokens = np.hstack((tokens, np.array(following, np.int64)[:, None]))
            if all(token == asr._eos_token_id for token in following):
                break
        return tokens

    def _language_tokens(self, pieces: list[Piece], encoded: Any) -> NDArray[np.int64]:
        """The language token of each piece: the given language, or the most probable of the allowed ones."""
        given = [self._languages.get(piece.language or "") for piece in pieces]
        if None not in given:
            return np.array(given, np.int64)
        ask = np.repeat(self._asr._detect_lang_input, len(pieces), axis=0)
        scores = self._asr._decode(ask, self._asr._create_state(), encoded)[0][:, -1]
        return np.array(
            [
                token if token is not None else self._likeliest(piece, row)
                for piece, row, token in zip(pieces, scores, given, strict=True)
            ],
            np.int64,
        )

    def _likeliest(self, piece: Piece, scores: NDArray[np.float32]) -> int:
        allowed = [self._languages[code] for code in piece.job.request.languages or () if code in self._languages]
        # An English-only model has another token in the place of the language.
        candidates = allowed or list(self._languages.values()) or range(len(scores))
        return int(max(candidates, key=lambda token: scores[token]))
