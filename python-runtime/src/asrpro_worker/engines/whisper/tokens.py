"""Whisper's tokenizer: commands, encoding and decoding of text, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokenizers

if TYPE_CHECKING:
    from pathlib import Path

# Languages without spaces between words; each character counts as a word.
_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}


class Tokens:
    """The tokenizer of a model directory. English-only models use no tokens for language and task."""

    def __init__(self, file: Path, *, multilingual: bool) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        self._multilingual = multilingual
        self.end = self._id("endoftext")
        self.previous = self._id("startofprev")
        self.untimed = self._id("notimestamps")

    @property
    def commands(self) -> range:
        """All tokens that are not text: the commands, followed by the timestamps from 0.00 to 30.00."""
        return range(self.end + 1, self.untimed + 1 + 1501)

    def start(self, language: str | None, task: str) -> list[int]:
        """The commands before a text."""
        begin = [self._id("startoftranscript")]
        return [*begin, self._id(language or "en"), self._id(task)] if self._multilingual else begin

    @staticmethod
    def spaces(language: str | None) -> bool:
        """True if the language is written with spaces between words."""
        return language not in _UNSPACED

    def languages(self) -> list[str]:
        """The codes of all languages in the order of the vocabulary, where they stand between two commands."""
        names = map(self._tokenizer.id_to_token, range(self._id("startoftranscript") + 1, self._id("translate")))
        return [name[2:-2] for name in names if name]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without commands."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token < self.end]

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens; commands and timestamps are ignored."""
        return str(self._tokenizer.decode([token for token in tokens if token < self.end]))

    def words(self, tokens: list[int], language: str | None) -> list[tuple[str, list[int]]]:
        """Each word with its tokens, including the space before it and the punctuation after it."""
        whole, done = self.decode(tokens), 0
        words: list[tuple[str, list[int]]] = []
        current: list[int] = []
        for at, token in enumerate(tokens):
            current.append(token)
            # The tokens so far end within a character.
            if not whole.startswith(so_far := self.decode(tokens[: at + 1])):
                continue
            text, done = whole[done : len(so_far)], len(so_far)
            spoken = any(map(str.isalnum, text))
            if words and not (spoken and (text.startswith(" ") or not self.spaces(language))):
                words[-1] = (words[-1][0] + text, words[-1][1] + current)
            else:
                words.append((text, current))
            current = []
        return words

    def _id(self, command: str) -> int:
        token = self._tokenizer.token_to_id(f"<|{command}|>")
        if token is None:
            raise ValueError(f"the vocabulary has no <|{command}|>")
        return int(token)
