"""What stands before a piece's text: the user's keywords and prompt, within one budget."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.messages import Transcribe

BUDGET = 223
"""Tokens for keywords and prompt together: the other half of what the decoder holds is left for the text."""

_COMMAND = re.compile(r"<\|.*?\|>")


def context(tokens: Tokens, request: Transcribe, *, keywords: bool = True) -> list[int]:
    """The tokens of keywords and prompt, at most BUDGET, whole words only; none where neither is given.

    Of keywords the first count, and where there is a prompt too they have half of the budget; of a prompt its end.
    """
    prompt = _plain(request.prompt or "").split()
    words = [word for word in map(_plain, request.hotwords) if word] if keywords else []
    named = _first(tokens, words, BUDGET // 2 if prompt else BUDGET)
    return named + _last(tokens, prompt, BUDGET - len(named))


def _plain(text: str) -> str:
    """Text without the marks that the tokenizer would read as Whisper's own commands."""
    return _COMMAND.sub("", text).strip()


def _first(tokens: Tokens, keywords: list[str], budget: int) -> list[int]:
    found: list[int] = []
    for count in range(1, len(keywords) + 1):
        longer = tokens.encode(" " + ", ".join(keywords[:count]))
        if len(longer) > budget:
            break
        found = longer
    return found


def _last(tokens: Tokens, words: list[str], budget: int) -> list[int]:
    found: list[int] = []
    for word in reversed(words):
        longer = tokens.encode(f" {word}") + found
        if len(longer) > budget:
            # a language without spaces is one long word
            return found or longer[-budget:]
        found = longer
    return found
