"""Phrases that a request wants heard, as a tree of characters that any tokens can walk along."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Nats for the first token of a phrase, which may be a false start, and for each later one. NeMo's own weights.
FIRST = 1.0
LATER = 2.0
# Scripts that put no space between words.
_SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")

Places = frozenset[tuple[int, int]]
"""Where a text stands in the tree: numbers of nodes, each with the count of tokens that led there."""


def spellings(phrases: Iterable[str]) -> list[str]:
    """Each phrase as it is, with a capital at its start, as a sentence has, and at each word, as a name has."""
    found: dict[str, None] = {}
    for phrase in phrases:
        words = phrase.split()
        if words:
            capitals = [word[0].upper() + word[1:] for word in words]
            forms = (words, [capitals[0], *words[1:]], capitals)
            found.update(dict.fromkeys(" ".join(form) for form in forms))
    return list(found)


class Phrases:
    """Tells the tokens that go on with a phrase. The model itself chooses how a phrase is cut into tokens.

    `tokens` are the texts by id, with a space before a word.
    """

    def __init__(self, phrases: Sequence[str], tokens: dict[int, str]) -> None:
        self._ids = {text: index for index, text in tokens.items()}
        self._texts = tokens
        self._nodes: list[dict[str, int]] = [{}]
        self._longest = max(map(len, self._ids), default=0)
        self._steps: dict[int, dict[int, int]] = {}
        self._found: dict[Places, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}
        cased = any(character.isupper() for text in self._ids if not text.startswith("<") for character in text)
        for form in spellings(phrases):
            self._add(" " + (form if cased else form.lower()))
            if unicodedata.name(form[0], "").startswith(_SPACELESS):
                self._add(form)

    @property
    def start(self) -> Places:
        """Before the first token."""
        return frozenset({(0, 0)})

    def bonuses(self, places: Places) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids of the tokens that begin or go on with a phrase, and what each is worth."""
        if places not in self._found:
            worth: dict[int, float] = {}
            for node, depth in places:
                bonus = FIRST if depth == 0 else LATER + math.log(depth + 1)
                for token in self._next(node):
                    # A space alone begins every phrase, so that it tells nothing.
                    if self._texts[token] != " ":
                        worth[token] = max(bonus, worth.get(token, 0.0))
            self._found[places] = (np.array(list(worth), np.int64), np.array(list(worth.values()), np.float32))
        return self._found[places]

    def after(self, places: Places, token: int) -> Places:
        """Where the text stands with one more token."""
        counts = self._texts.get(token) != " "
        steps = ((self._next(node).get(token), depth + counts) for node, depth in places)
        return self.start | {(node, depth) for node, depth in steps if node is not None}

    def _add(self, text: str) -> None:
        node = 0
        for character in text:
            if character not in self._nodes[node]:
                self._nodes[node][character] = len(self._nodes)
                self._nodes.append({})
            node = self._nodes[node][character]

    def _next(self, node: int) -> dict[int, int]:
        """Token to the node that it leads to."""
        if node not in self._steps:
            self._steps[node] = dict(self._walk(node, ""))
        return self._steps[node]

    def _walk(self, node: int, text: str) -> Iterator[tuple[int, int]]:
        if text in self._ids:
            yield self._ids[text], node
        if len(text) < self._longest:
            for character, child in self._nodes[node].items():
                yield from self._walk(child, text + character)
