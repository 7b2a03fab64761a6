"""Whisper by onnx-asr: greedy, with a prompt before the text, a preference for keywords and a say in the language.

Keywords are no part of the prompt here: 60 that had nothing to do with the speech took the errors of tiny.en from 12.6
to 16.1 % of 453 words.
"""

# ruff: noqa: SLF001 - the library has no public way to these parts; its version is locked, and tests compare the results

from __future__ import annotations

import contextlib
import itertools
import re
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from onnx_asr.utils import pad_list

from asrpro_worker.engines.choosing import Choice
from asrpro_worker.engines.onnx.whole import whole
from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.whisper.prompt import context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.messages import Transcribe
    from asrpro_worker.piece import Outcome, Piece

# In all, as the library's own loop.
_MOST_TOKENS = 448
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


class OnnxWhisper:
    """A loaded Whisper export. `languages` are the codes that it takes; an English-only one takes none."""

    def __init__(self, asr: Any, languages: Sequence[str]) -> None:
        self._asr = asr
        self._languages = {code: int(asr._tokens[f"<|{code}|>"]) for code in languages}
        # Of the last request only: one file has many pieces.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._texts: dict[int, str] = {}
        self._letters = {byte: letter for letter, byte in asr._byte_decoder.items()}

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. Pieces with the same context go into one call."""
        groups: defaultdict[tuple[int, ...], list[Piece]] = defaultdict(list)
        for piece in pieces:
            groups[self._before(piece)].append(piece)
        found: dict[Piece, Outcome] = {}
        for before, group in groups.items():
            alive()
            found.update(zip(group, self._write(group, before), strict=True))
        return [found[piece] for piece in pieces]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text. Merges have the order of the vocabulary, so that their own file is not needed."""
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

    def _before(self, piece: Piece) -> tuple[int, ...]:
        wish = SimpleNamespace(prompt=piece.job.request.prompt, hotwords=[])
        said = context(cast("Tokens", self), cast("Transcribe", wish))
        return (self._asr._tokens["<|startofprev|>"], *said) if said else ()

    def _write(self, pieces: list[Piece], before: tuple[int, ...]) -> list[Outcome]:
        asr = self._asr
        encoded = asr._encode(*pad_list([piece.samples for piece in pieces]))
        start = np.repeat(asr._transcribe_input, len(pieces), axis=0)
        start[:, 1] = self._spoken(pieces, encoded)
        tokens = np.hstack((np.tile(np.array(before, np.int64), (len(pieces), 1)), start))
        wished = any(piece.job.request.hotwords for piece in pieces)
        choices = [self._choice(piece) for piece in pieces] if wished else None
        written = (self._choose(encoded, tokens, choices) if choices else asr._decoding(encoded, tokens))[
            :, tokens.shape[1] :
        ]
        return [whole(piece, asr._decode_tokens(row).text.strip()) for piece, row in zip(pieces, written, strict=True)]

    def _choice(self, piece: Piece) -> Choice:
        wanted = tuple(piece.job.request.hotwords)
        if wanted and wanted not in self._phrases:
            self._texts = self._texts or self._readable()
            self._phrases = {wanted: Phrases(wanted, self._texts)}
        # The end of the text stays where it is the most probable, as blank does elsewhere.
        return Choice(self._phrases.get(wanted), np.array([], np.int64), self._asr._eos_token_id)

    def _readable(self) -> dict[int, str]:
        """The tokens that are text by themselves, and not a part of a character or a command."""
        found: dict[int, str] = {}
        for token, text in self._asr._vocab.items():
            with contextlib.suppress(KeyError, UnicodeDecodeError):
                found[token] = bytes(self._asr._byte_decoder[letter] for letter in text).decode()
        return found

    def _choose(self, encoded: Any, tokens: NDArray[np.int64], choices: list[Choice]) -> NDArray[np.int64]:
        asr, state = self._asr, self._asr._create_state()
        for _ in range(tokens.shape[1], _MOST_TOKENS):
            scores, state = asr._decode(tokens, state, encoded)
            following = []
            for row, choice, last in zip(scores[:, -1], choices, tokens[:, -1], strict=True):
                token = asr._eos_token_id if last == asr._eos_token_id else choice.token(row)[0]
                choice.said(token)
                following.append(token)
            tokens = np.hstack((tokens, np.array(following, np.int64)[:, None]))
            if all(token == asr._eos_token_id for token in following):
                break
        return tokens

    def _spoken(self, pieces: list[Piece], encoded: Any) -> NDArray[np.int64]:
        """The tokens of the languages: given, or the most probable of those that are allowed."""
        wished = [self._languages.get(piece.language or "") for piece in pieces]
        if None not in wished:
            return np.array(wished, np.int64)
        ask = np.repeat(self._asr._detect_lang_input, len(pieces), axis=0)
        scores = self._asr._decode(ask, self._asr._create_state(), encoded)[0][:, -1]
        return np.array(
            [
                token if token is not None else self._likeliest(piece, row)
                for piece, row, token in zip(pieces, scores, wished, strict=True)
            ],
            np.int64,
        )

    def _likeliest(self, piece: Piece, scores: NDArray[np.float32]) -> int:
        allowed = [self._languages[code] for code in piece.job.request.languages or () if code in self._languages]
        # An English-only model has a token of its own in the place of the language.
        among = allowed or list(self._languages.values()) or range(len(scores))
        return int(max(among, key=lambda token: scores[token]))
