"""Keywords and languages with NeMo and toy models, whose scores are close to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import job, load

from asrpro_worker.engines.nemo.engine import Nemo
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from pathlib import Path

SOUNDS = [np.random.default_rng(seed).standard_normal(16_000 * (2 + seed)).astype(np.float32) for seed in range(3)]


@pytest.fixture(scope="module", params=["ctc_bpe", "rnnt_bpe", "tdt_bpe"])
def engine(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Nemo:
    made = Nemo()
    assert load(made, checkpoints[request.param], languages=["en", "ru", "el"]).capabilities.hotwords
    return made


def texts(engine: Nemo, keywords: list[list[str]], **fields: Any) -> list[str]:
    pieces = [
        Piece(job(hotwords=words, **fields), ((0, len(sound)),), sound, fields.get("language"))
        for sound, words in zip(SOUNDS, keywords, strict=True)
    ]
    outcomes = engine.decode(pieces, lambda: None)
    assert all(isinstance(outcome, Heard) for outcome in outcomes)
    return ["".join(segment.text for segment in outcome.segments) for outcome in outcomes if isinstance(outcome, Heard)]


def test_keywords_change_only_their_own_piece(engine: Nemo) -> None:
    plain = texts(engine, [[], [], []])
    changed = 0
    for turn, words in enumerate((["a"], ["home"], ["the"], ["old songs"], ["dog", "mat"])):
        index = turn % 3
        keywords: list[list[str]] = [[], [], []]
        keywords[index] = words
        boosted = texts(engine, keywords)
        assert [text for at, text in enumerate(boosted) if at != index] == [
            text for at, text in enumerate(plain) if at != index
        ]
        changed += boosted[index] != plain[index]
        assert boosted[index].count(f" {words[0][0]}") >= plain[index].count(f" {words[0][0]}")
    assert changed
    assert texts(engine, [[], [], []]) == plain


def test_each_piece_has_its_own_keywords(engine: Nemo) -> None:
    keywords = [["a"], ["home", "the"], ["dog"]]
    alone = [texts(engine, [words if at == index else [] for at in range(3)]) for index, words in enumerate(keywords)]
    assert texts(engine, keywords) == [alone[index][index] for index in range(3)]


def test_keywords_outside_of_the_vocabulary_change_nothing(engine: Nemo) -> None:
    plain = texts(engine, [[], [], []])
    assert texts(engine, [["🎧"], ["東京", "\u200b"], ["<unk>"]]) == plain
    assert texts(engine, [["  "], ["\x00"], []]) == plain


def test_only_letters_of_the_language_are_chosen(engine: Nemo) -> None:
    plain = texts(engine, [[], [], []])
    assert any(letter.isalpha() for letter in "".join(plain))
    restricted = texts(engine, [[], [], []], language="ru")
    assert not any(letter.isalpha() for letter in "".join(restricted))
    assert texts(engine, [[], [], []], languages=["en", "el"]) == plain


def test_a_character_model_ignores_keywords(checkpoints: dict[str, Path]) -> None:
    made = Nemo()
    assert not load(made, checkpoints["tdt"]).capabilities.hotwords
    assert texts(made, [["the"], [], []]) == texts(made, [[], [], []])
