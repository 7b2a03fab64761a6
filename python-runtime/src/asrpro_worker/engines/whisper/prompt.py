"""The prompt before a piece's text: the user's keywords and prompt within one token budget."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asrpro_worker.engines.phrases import normalized

if TYPE_CHECKING:
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.messages import Transcribe

BUDGET = 223
"""Tokens for keywords and prompt together; the other half of the decoder's 448 tokens is left for the text."""

_COMMAND = re.compile(r"<\|.*?\|>")


def context(tokens: Tokens, request: Transcribe, *, keywords: bool = True) -> list[int]:
    """The tokens of keywords and prompt: at most BUDGET, whole words only, none if neither is given.

    The first keywords are kept, within half of the budget if there is also a prompt. Of the prompt the end is kept.
    """
    prompt = _plain(request.prompt or "").split()
    words = [word for word in map(_plain, request.hotwords) if word] if keywords else []
    named = _first(tokens, words, BUDGET // 2 if prompt else BUDGET)
    return named + _last(tokens, prompt, BUDGET - len(named))


def _plain(text: str) -> str:
    """The text without Whisper's commands, which the tokenizer would recognize."""
    return _COMMAND.sub("", normalized(text)).strip()


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
            # Text in a language without spaces is a single long word.
            return found or longer[-budget:]
        found = longer
    return found
