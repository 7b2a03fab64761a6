"""Keywords and languages with onnx-asr's transducers and CTC models, whose toys are unsure of what they hear."""

# ruff: noqa: SLF001, RUF001 - parts of the library that the code under test uses; letters that look alike on purpose

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_asr
import pytest
from toy_parakeets import make_parakeet

from asrpro_worker.engines.choosing import Choice, Chosen
from asrpro_worker.engines.onnx.hearing import hear
from asrpro_worker.engines.phrases import FIRST, Phrases, spellings
from asrpro_worker.engines.scripts import foreign

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

KINDS = ("tdt", "rnnt", "ctc")
NOBODY = np.array([], np.int64)
SOUNDS = [np.random.default_rng(seed).standard_normal(16_000 * (1 + seed)).astype(np.float32) for seed in range(3)]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = make_parakeet(tmp_path_factory.mktemp(request.param), request.param, scripts=True, scale=0.03)
    return onnx_asr.load_model(f"nemo-conformer-{request.param}", directory)


def plain(model: Any) -> list[list[Chosen]]:
    return hear(model.asr, SOUNDS, [Choice(None, NOBODY, model.asr._blank_idx) for _ in SOUNDS])


def boosted(model: Any, phrases: list[str], index: int) -> list[list[Chosen]]:
    choices = [
        Choice(Phrases(phrases, model.asr._vocab) if at == index else None, NOBODY, model.asr._blank_idx)
        for at in range(len(SOUNDS))
    ]
    return hear(model.asr, SOUNDS, choices)


def test_without_a_wish_the_tokens_are_those_of_the_library(model: Any) -> None:
    for ours, theirs in zip(plain(model), model.with_timestamps().recognize(SOUNDS), strict=True):
        assert [one.text for one in ours] == theirs.tokens
        np.testing.assert_allclose([one.start for one in ours], theirs.timestamps)
        np.testing.assert_allclose([one.logprob for one in ours], theirs.logprobs, atol=1e-5)


def rival(model: Any, index: int) -> tuple[int, str]:
    """Where a word was nearly chosen in a sound, and which."""
    scores: list[NDArray[np.float32]] = []

    class Watching(Choice):
        def token(self, seen: Any, repeated: Any = None) -> Any:
            chosen = super().token(seen, repeated)
            # a frame that gives a new token
            if chosen[0] != self._blank and chosen != repeated:
                scores.append(seen)
            return chosen

    choices = [(Watching if at == index else Choice)(None, NOBODY, model.asr._blank_idx) for at in range(len(SOUNDS))]
    hear(model.asr, SOUNDS, choices)
    for at, seen in enumerate(scores):
        second = int(np.argsort(seen)[-2])
        text = model.asr._vocab[second]
        if text.startswith(" ") and len(text) > 1 and seen.max() - seen[second] < FIRST * 0.9:
            return at, text
    raise AssertionError("the toy is too sure")


@pytest.mark.parametrize("index", range(3))
def test_a_phrase_wins_where_it_is_the_second_choice_and_only_in_its_own_sound(model: Any, index: int) -> None:
    at, text = rival(model, index)
    before, after = plain(model), boosted(model, [text.strip()], index)
    assert before[index][at].text != text
    assert after[index][at].text == text
    assert after[index][:at] == before[index][:at]
    # as the model sees it, without the bonus
    assert after[index][at].logprob < before[index][at].logprob
    assert [one for number, one in enumerate(after) if number != index] == [
        one for number, one in enumerate(before) if number != index
    ]


def test_a_phrase_that_is_nowhere_near_changes_nothing(tmp_path: Path) -> None:
    sure = onnx_asr.load_model("nemo-conformer-tdt", make_parakeet(tmp_path, "tdt", scale=3.0))
    assert boosted(sure, ["Kowalczyk", "a b c"], 0) == plain(sure)


def test_blank_stays_blank(model: Any) -> None:
    blank = model.asr._blank_idx
    scores = np.zeros(len(model.asr._vocab), np.float32)
    scores[blank] = 0.1
    assert Choice(Phrases(["a"], model.asr._vocab), NOBODY, blank).token(scores) == (blank, 0.0)


VOCABULARY = dict(enumerate(["<unk>", " ", " K", " Ko", "K", "o", "w", "al", "owal", " c", " C", "at", "<blk>"]))


def texts(phrases: Phrases, places: Any) -> set[str]:
    return {VOCABULARY[int(token)] for token in phrases.bonuses(places)[0]}


def test_a_phrase_is_followed_however_it_is_cut() -> None:
    phrases = Phrases(["Kowal"], VOCABULARY)
    assert texts(phrases, phrases.start) == {" K", " Ko"}
    after_k = phrases.after(phrases.start, 2)
    assert texts(phrases, after_k) == {" K", " Ko", "o", "owal"}
    assert texts(phrases, phrases.after(after_k, 5)) == {" K", " Ko", "w"}
    assert phrases.after(phrases.after(after_k, 8), 6) == phrases.start
    # the space as a token of its own is no sign of the phrase, but leads into it
    assert texts(phrases, phrases.after(phrases.start, 1)) == {" K", " Ko", "K"}


def test_a_later_token_is_worth_more() -> None:
    phrases = Phrases(["cat"], VOCABULARY)
    first = dict(zip(*phrases.bonuses(phrases.start), strict=True))
    later = dict(zip(*phrases.bonuses(phrases.after(phrases.start, 9)), strict=True))
    assert first == {9: FIRST, 10: FIRST}
    assert later[11] > FIRST


def test_phrases_are_heard_as_they_are_and_capitalised() -> None:
    said = ["new  york", "iPhone", "Ada", " ", "ada"]
    assert spellings(said) == ["new york", "New york", "New York", "iPhone", "IPhone", "Ada", "ada"]


def test_a_model_without_capitals_gets_small_letters() -> None:
    phrases = Phrases(["CAT"], {0: " c", 1: "a", 2: "t", 3: "<blk>"})
    assert list(phrases.bonuses(phrases.start)[0]) == [0]


def test_a_language_without_spaces_may_begin_a_phrase_anywhere() -> None:
    phrases = Phrases(["東京"], {0: "東", 1: "京", 2: " 東", 3: "<blk>"})
    assert set(phrases.bonuses(phrases.start)[0]) == {0, 2}


@pytest.mark.parametrize(
    ("languages", "left_out"),
    [
        (["en"], {" д", "ж", " λ", "ы", "і"}),
        (["ru"], {"a", " K", " λ", "і"}),
        (["uk"], {"a", " K", " λ", "ы"}),
        (["el"], {"a", " K", " д", "ж", "ы", "і"}),
        (["de", "ru"], {" λ", "і"}),
        (["ja"], set()),
        ([], set()),
    ],
)
def test_letters_of_other_languages(languages: list[str], left_out: set[str]) -> None:
    tokens = dict(enumerate(["a", " K", " д", "ж", " λ", "ы", "і", ".", " 7", "<blk>", "<|en|>", " "]))
    assert {tokens[token] for token in foreign(tokens.items(), languages)} == left_out


def test_a_model_is_held_to_the_letters_and_a_keyword_may_have_others(model: Any) -> None:
    vocabulary = model.asr._vocab
    barred = np.array(foreign(vocabulary.items(), ["ru"]), np.int64)
    held = hear(model.asr, SOUNDS, [Choice(None, barred, model.asr._blank_idx) for _ in SOUNDS])
    assert any(letter in "abcdefghijklmnopqrstuvwxyz" for one in plain(model)[2] for letter in one.text)
    assert not any(letter in "abcdefghijklmnopqrstuvwxyz" for sound in held for one in sound for letter in one.text)
    scores = np.zeros(len(vocabulary), np.float32)
    token = next(index for index, text in vocabulary.items() if text == " d")
    scores[token] = 3.0
    assert Choice(Phrases(["d"], vocabulary), barred, model.asr._blank_idx).token(scores)[0] == token


def test_a_tdt_token_ends_where_the_model_says(tmp_path: Path) -> None:
    asr = onnx_asr.load_model("nemo-conformer-tdt", make_parakeet(tmp_path)).asr
    (heard,) = hear(asr, SOUNDS[2:], [Choice(None, NOBODY, asr._blank_idx)])
    lasting = {round(((one.end or 0) - one.start) / 0.08) for one in heard}
    assert lasting <= {1, 2, 3, 4}
    assert len(lasting) > 1
    assert all((one.end or 0) >= one.start for one in heard)
