"""Restricts a model that chooses its language itself to the letters of the requested languages."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
# Languages that are not listed here are not restricted.
_SCRIPT_OF = {
    **dict.fromkeys(("bg", "ru", "uk"), "CYRILLIC"),
    "el": "GREEK",
    **dict.fromkeys(("cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "it"), "LATIN"),
    **dict.fromkeys(("lt", "lv", "mt", "nl", "pl", "pt", "ro", "sk", "sl", "sv"), "LATIN"),
}
# Letters of its own script that a language does not use.
_FOREIGN = {"ru": "іїєґўђјљњћџѓќѕ", "uk": "ыэёъўђјљњћџѓќѕ", "bg": "ыэёіїєґўђјљњћџѓќѕ"}


def foreign(tokens: Iterable[tuple[int, str]], languages: Iterable[str]) -> list[int]:
    """Ids of the tokens that no single one of `languages` can write; none if a language is not listed here.

    Languages of the same script differ only in single letters. Latin languages are not told apart at all, because their
    texts quote each other.
    """
    allowed = set(languages)
    if not allowed or not allowed <= _SCRIPT_OF.keys():
        return []
    return [
        token
        for token, text in tokens
        if not text.startswith("<") and not any(all(_fits(letter, code) for letter in text) for code in allowed)
    ]


@cache
def _fits(letter: str, language: str) -> bool:
    script = unicodedata.name(letter, "").partition(" ")[0]
    if script not in _SCRIPTS:
        return True
    return script == _SCRIPT_OF[language] and letter.lower() not in _FOREIGN.get(language, "")
