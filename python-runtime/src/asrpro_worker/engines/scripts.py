"""Holds a model that chooses its language by itself to the letters of the languages that are asked for."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
# Whatever is not named here is written in Latin or is held to nothing.
_SCRIPT_OF = {
    **dict.fromkeys(("bg", "ru", "uk"), "CYRILLIC"),
    "el": "GREEK",
    **dict.fromkeys(("cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "it"), "LATIN"),
    **dict.fromkeys(("lt", "lv", "mt", "nl", "pl", "pt", "ro", "sk", "sl", "sv"), "LATIN"),
}
# Letters of the same script that a language does not have.
_FOREIGN = {"ru": "іїєґўђјљњћџѓќѕ", "uk": "ыэёъўђјљњћџѓќѕ", "bg": "ыэёіїєґўђјљњћџѓќѕ"}


def foreign(tokens: Iterable[tuple[int, str]], languages: Iterable[str]) -> list[int]:
    """Ids of the tokens with a letter that none of `languages` has; none where a language is not known here.

    Languages of one script are told apart only where their letters differ, which among the Latin ones is not tried:
    all of them quote each other.
    """
    wanted = set(languages)
    if not wanted or not wanted <= _SCRIPT_OF.keys():
        return []
    return [
        token
        for token, text in tokens
        if not text.startswith("<") and not any(all(_fits(letter, code) for letter in text) for code in wanted)
    ]


@cache
def _fits(letter: str, language: str) -> bool:
    script = unicodedata.name(letter, "").partition(" ")[0]
    if script not in _SCRIPTS:
        return True
    return script == _SCRIPT_OF[language] and letter.lower() not in _FOREIGN.get(language, "")
