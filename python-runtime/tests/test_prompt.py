"""Keywords and prompt share one budget; tested with the tokenizer of a real model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from in_process import job
from real_whisper import WHISPER

from asrpro_worker.engines.whisper.prompt import BUDGET, context
from asrpro_worker.engines.whisper.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

KEYWORDS = [f"Kwatsch-Brubbel {number} GmbH" for number in range(100)]
STORY = " ".join(f"The {number}th visitor of Llanfairpwllgwyngyll was late." for number in range(100))


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(WHISPER / "tokenizer.json", multilingual=False)


@pytest.fixture(scope="module")
def text(tokens: Tokens) -> Callable[..., str]:
    def of(**fields: Any) -> str:
        ids = context(tokens, job(**fields).request)
        assert len(ids) <= BUDGET
        return tokens.decode(ids)

    return of


def test_short_keywords_and_prompts_are_kept_completely(text: Callable[..., str]) -> None:
    assert text() == text(prompt=" ", hotwords=["", " "]) == ""
    assert text(prompt="Hello  there. ", hotwords=["Ada", "Bob Foo"]) == " Ada, Bob Foo Hello there."


def test_the_first_keywords_and_the_end_of_the_prompt_are_kept_in_whole_words(text: Callable[..., str]) -> None:
    named = text(hotwords=KEYWORDS).strip().split(", ")
    assert named == KEYWORDS[: len(named)]
    assert len(named) > 10
    end = text(prompt=STORY).strip()
    assert STORY.endswith(f" {end}")
    assert len(end) > 500
    both = text(prompt=STORY, hotwords=KEYWORDS)
    assert both.startswith(f" {KEYWORDS[0]}, {KEYWORDS[1]}")
    assert both.endswith("visitor of Llanfairpwllgwyngyll was late.")


def test_a_long_text_without_spaces_keeps_its_end(text: Callable[..., str]) -> None:
    assert text(prompt="東京都" * 200).endswith("東京都")


def test_commands_are_removed(text: Callable[..., str]) -> None:
    assert text(prompt="a<|endoftext|>b ", hotwords=["x", "<|de|>"]) == " x ab"
