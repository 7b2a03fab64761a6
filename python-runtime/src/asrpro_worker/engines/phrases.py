"""The keywords of a request as a tree of characters, which works with any tokenizer."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Bonus in nats for the first token of a phrase, which may be a false start, and for each later one. NeMo's weights.
FIRST = 1.0
LATER = 2.0
# Scripts that put no space between words, or attach particles to them.
_SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")
# Unicode's categories of control and format characters, and those that words of Persian and Indian languages need.
_INVISIBLE = ("Cc", "Cf")
_JOINERS = "\u200c\u200d"

Places = frozenset[tuple[int, int]]
"""The positions of a text in the tree: each is a node and the number of tokens that led to it."""


def normalized(text: str) -> str:
    """The text as tokenizers spell it: composed letters (é, not e and an accent), single spaces, nothing invisible."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(
        letter for letter in composed if unicodedata.category(letter) not in _INVISIBLE or letter in _JOINERS
    )


def is_spaceless(letter: str) -> bool:
    """True for a letter of a script without spaces between words."""
    return unicodedata.name(letter, "").startswith(_SPACELESS)


def spellings(phrases: Iterable[str]) -> list[str]:
    """Each phrase unchanged, with a capital at its start (as in a sentence), and at each word (as in a name)."""
    found: dict[str, None] = {}
    for phrase in phrases:
        words = normalized(phrase).split()
        if words:
            capitals = [word[0].upper() + word[1:] for word in words]
            forms = (words, [capitals[0], *words[1:]], capitals)
            found.update(dict.fromkeys(" ".join(form) for form in forms))
    return list(found)


class Phrases:
    """Finds the tokens that begin or continue a phrase, whichever way the model splits it into tokens.

    `tokens` maps ids to texts, which begin with a space at the start of a word.
    """

    def __init__(self, phrases: Sequence[str], tokens: dict[int, str]) -> None:
        self._ids = {text: index for index, text in tokens.items()}
        self._texts = tokens
        self._nodes: list[dict[str, int]] = [{}]
        self._longest = max(map(len, self._ids), default=0)
        self._steps: dict[int, dict[int, int]] = {}
        self._bonuses: dict[Places, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}
        cased = any(character.isupper() for text in self._ids if not text.startswith("<") for character in text)
        for form in spellings(phrases):
            self._add(" " + (form if cased else form.lower()))
            if any(map(is_spaceless, form)):
                self._add(form)

    @property
    def start(self) -> Places:
        """The position before the first token."""
        return frozenset({(0, 0)})

    def bonuses(self, places: Places) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids of the tokens that begin or continue a phrase, shape (n,), and the bonus of each in nats, shape (n,)."""
        if places not in self._bonuses:
            bonuses: dict[int, float] = {}
            for node, depth in places:
                bonus = FIRST if depth == 0 else LATER + math.log(depth + 1)
                for token in self._next(node):
                    # A single space begins every phrase, so it is no sign of one.
                    if self._texts[token] != " ":
                        bonuses[token] = max(bonus, bonuses.get(token, 0.0))
            self._bonuses[places] = (np.array(list(bonuses), np.int64), np.array(list(bonuses.values()), np.float32))
        return self._bonuses[places]

    def after(self, places: Places, token: int) -> Places:
        """The positions after one more token."""
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
        """Tokens that continue from a node, with the node that each leads to."""
        if node not in self._steps:
            self._steps[node] = dict(self._walk(node, ""))
        return self._steps[node]

    def _walk(self, node: int, text: str) -> Iterator[tuple[int, int]]:
        if text in self._ids:
            yield self._ids[text], node
        if len(text) < self._longest:
            for character, child in self._nodes[node].items():
                yield from self._walk(child, text + character)
