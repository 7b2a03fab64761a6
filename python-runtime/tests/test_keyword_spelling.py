"""Keywords are found however they are written: without spaces, with separate accents, with invisible characters."""

from __future__ import annotations

import unicodedata

import pytest

from asrpro_worker.engines.phrases import Phrases, spellings
from asrpro_worker.engines.whisper.keywords import adds_keywords


@pytest.mark.parametrize(
    ("text", "plain", "keyword"),
    [
        ("昨日は高橋さんと会いました。", "昨日は高梁さんと会いました。", "高橋"),
        ("我们在深圳湾见面。", "我们在深证湾见面。", "深圳湾"),
        ("우리는 서울숲에서 만났다.", "우리는 서울쑥에서 만났다.", "서울숲"),
        ("I met Zoë there.", "I met Zoe there.", unicodedata.normalize("NFD", "Zoë")),
        ("I met Siobhan there.", "I met Shavon there.", "\u200fSio\u00adbhan\u200e"),
    ],
)
def test_a_keyword_is_found_in_the_text(text: str, plain: str, keyword: str) -> None:
    assert adds_keywords(text, plain, [keyword], 0.1)


def test_a_keyword_without_letters_never_replaces_a_text() -> None:
    for keyword in ("!!!", "🙂", "—"):
        assert not adds_keywords("", "I met her there.", [keyword], 0.1)


def test_a_word_of_a_spaced_language_is_not_found_within_another() -> None:
    assert not adds_keywords("The category is new.", "The cat agree is new.", ["cat"], 0.1)


def test_spellings_are_those_of_the_tokenizer() -> None:
    assert spellings([unicodedata.normalize("NFD", "Zoë\u200b\n  Straße"), "\u200e", "\x00"]) == ["Zoë Straße"]
    phrases = Phrases([unicodedata.normalize("NFD", "ë")], {0: " ë", 1: " e"})
    assert phrases.bonuses(phrases.start)[0].tolist() == [0]
