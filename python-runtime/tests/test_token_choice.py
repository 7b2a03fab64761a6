"""Keywords and languages with toy models of onnx-asr, transducers and CTC, whose scores are close to each other."""

# ruff: noqa: SLF001, RUF001 - private parts of the library, as in the tested code; Cyrillic and Greek letters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_asr
import pytest
from toy_parakeets import make_parakeet

from asrpro_worker.engines.onnx.timed import recognize
from asrpro_worker.engines.phrases import FIRST, Phrases, spellings
from asrpro_worker.engines.scripts import foreign
from asrpro_worker.engines.token_choice import Choice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.token_times import Token

KINDS = ("tdt", "rnnt", "ctc")
NONE = np.array([], np.int64)
SOUNDS = [np.random.default_rng(seed).standard_normal(16_000 * (1 + seed)).astype(np.float32) for seed in range(3)]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = make_parakeet(tmp_path_factory.mktemp(request.param), request.param, scripts=True, scale=0.03)
    return onnx_asr.load_model(f"nemo-conformer-{request.param}", directory)


def plain(model: Any) -> list[list[Token]]:
    return recognize(model.asr, SOUNDS, [Choice(None, NONE, model.asr._blank_idx) for _ in SOUNDS])


def boosted(model: Any, phrases: list[str], index: int) -> list[list[Token]]:
    choices = [
        Choice(Phrases(phrases, model.asr._vocab) if at == index else None, NONE, model.asr._blank_idx)
        for at in range(len(SOUNDS))
    ]
    return recognize(model.asr, SOUNDS, choices)


def test_without_keywords_the_tokens_are_those_of_the_library(model: Any) -> None:
    for ours, theirs in zip(plain(model), model.with_timestamps().recognize(SOUNDS), strict=True):
        assert [one.text for one in ours] == theirs.tokens
        np.testing.assert_allclose([one.start for one in ours], theirs.timestamps)
        np.testing.assert_allclose([one.logprob for one in ours], theirs.logprobs, atol=1e-5)


def rival(model: Any, index: int) -> tuple[int, str]:
    """The index of a token that nearly was another word, and that word."""
    scores: list[NDArray[np.float32]] = []

    class Watching(Choice):
        def token(self, seen: Any, repeated: Any = None) -> Any:
            chosen = super().token(seen, repeated)
            # The frame adds a new token.
            if chosen[0] != self._blank and chosen != repeated:
                scores.append(seen)
            return chosen

    choices = [(Watching if at == index else Choice)(None, NONE, model.asr._blank_idx) for at in range(len(SOUNDS))]
    recognize(model.asr, SOUNDS, choices)
    for at, seen in enumerate(scores):
        second = int(np.argsort(seen)[-2])
        text = model.asr._vocab[second]
        if text.startswith(" ") and len(text) > 1 and seen.max() - seen[second] < FIRST * 0.9:
            return at, text
    raise AssertionError("the scores of the toy model are not close enough")


@pytest.mark.parametrize("index", range(3))
def test_a_phrase_wins_as_second_choice_and_only_in_its_own_sound(model: Any, index: int) -> None:
    at, text = rival(model, index)
    before, after = plain(model), boosted(model, [text.strip()], index)
    assert before[index][at].text != text
    assert after[index][at].text == text
    assert after[index][:at] == before[index][:at]
    # The model's own log-probability, without the bonus.
    assert after[index][at].logprob < before[index][at].logprob
    assert [one for number, one in enumerate(after) if number != index] == [
        one for number, one in enumerate(before) if number != index
    ]


def test_an_improbable_phrase_changes_nothing(tmp_path: Path) -> None:
    model = onnx_asr.load_model("nemo-conformer-tdt", make_parakeet(tmp_path, "tdt", scale=3.0))
    assert boosted(model, ["Kowalczyk", "a b c"], 0) == plain(model)


def test_the_most_probable_blank_is_kept(model: Any) -> None:
    blank = model.asr._blank_idx
    scores = np.zeros(len(model.asr._vocab), np.float32)
    scores[blank] = 0.1
    assert Choice(Phrases(["a"], model.asr._vocab), NONE, blank).token(scores) == (blank, 0.0)


VOCABULARY = dict(enumerate(["<unk>", " ", " K", " Ko", "K", "o", "w", "al", "owal", " c", " C", "at", "<blk>"]))


def texts(phrases: Phrases, places: Any) -> set[str]:
    return {VOCABULARY[int(token)] for token in phrases.bonuses(places)[0]}


def test_a_phrase_is_followed_through_any_tokens() -> None:
    phrases = Phrases(["Kowal"], VOCABULARY)
    assert texts(phrases, phrases.start) == {" K", " Ko"}
    after_k = phrases.after(phrases.start, 2)
    assert texts(phrases, after_k) == {" K", " Ko", "o", "owal"}
    assert texts(phrases, phrases.after(after_k, 5)) == {" K", " Ko", "w"}
    assert phrases.after(phrases.after(after_k, 8), 6) == phrases.start
    # A single space gets no bonus, but the phrase can begin with it.
    assert texts(phrases, phrases.after(phrases.start, 1)) == {" K", " Ko", "K"}


def test_later_tokens_get_a_larger_bonus() -> None:
    phrases = Phrases(["cat"], VOCABULARY)
    first = dict(zip(*phrases.bonuses(phrases.start), strict=True))
    later = dict(zip(*phrases.bonuses(phrases.after(phrases.start, 9)), strict=True))
    assert first == {9: FIRST, 10: FIRST}
    assert later[11] > FIRST


def test_phrases_match_unchanged_and_capitalized() -> None:
    phrases = ["new  york", "iPhone", "Ada", " ", "ada"]
    assert spellings(phrases) == ["new york", "New york", "New York", "iPhone", "IPhone", "Ada", "ada"]


def test_a_model_without_capitals_gets_lower_case() -> None:
    phrases = Phrases(["CAT"], {0: " c", 1: "a", 2: "t", 3: "<blk>"})
    assert list(phrases.bonuses(phrases.start)[0]) == [0]


def test_a_language_without_spaces_may_begin_a_phrase_anywhere() -> None:
    phrases = Phrases(["東京"], {0: "東", 1: "京", 2: " 東", 3: "<blk>"})
    assert set(phrases.bonuses(phrases.start)[0]) == {0, 2}


@pytest.mark.parametrize(
    ("languages", "expected"),
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
def test_letters_of_other_languages(languages: list[str], expected: set[str]) -> None:
    tokens = dict(enumerate(["a", " K", " д", "ж", " λ", "ы", "і", ".", " 7", "<blk>", "<|en|>", " "]))
    assert {tokens[token] for token in foreign(tokens.items(), languages)} == expected


def test_only_letters_of_the_language_or_of_keywords_are_chosen(model: Any) -> None:
    vocabulary = model.asr._vocab
    forbidden = np.array(foreign(vocabulary.items(), ["ru"]), np.int64)
    restricted = recognize(model.asr, SOUNDS, [Choice(None, forbidden, model.asr._blank_idx) for _ in SOUNDS])
    assert any(letter in "abcdefghijklmnopqrstuvwxyz" for one in plain(model)[2] for letter in one.text)
    assert not any(
        letter in "abcdefghijklmnopqrstuvwxyz" for sound in restricted for one in sound for letter in one.text
    )
    scores = np.zeros(len(vocabulary), np.float32)
    token = next(index for index, text in vocabulary.items() if text == " d")
    scores[token] = 3.0
    assert Choice(Phrases(["d"], vocabulary), forbidden, model.asr._blank_idx).token(scores)[0] == token


def test_a_tdt_token_has_the_duration_of_the_model(tmp_path: Path) -> None:
    asr: Any = onnx_asr.load_model("nemo-conformer-tdt", make_parakeet(tmp_path)).asr
    (heard,) = recognize(asr, SOUNDS[2:], [Choice(None, NONE, asr._blank_idx)])
    durations = {round(((one.end or 0) - one.start) / 0.08) for one in heard}
    assert durations <= {1, 2, 3, 4}
    assert len(durations) > 1
    assert all((one.end or 0) >= one.start for one in heard)
