"""Words and sentences from tokens with start times."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from in_process import job

from asrpro_worker.engines.token_times import Token, join, segment, sentences, timed_outcomes, words
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard, Piece


def tokens(*entries: tuple[str, float]) -> list[Token]:
    return [Token(text, start, math.log(0.5)) for text, start in entries]


def test_a_word_ends_at_the_next_word_or_after_a_limit() -> None:
    made = words(tokens((" Hel", 0.0), ("lo", 0.2), (",", 0.3), (" world", 0.5), (".", 2.0)), end=9.0)
    assert [(word.word, word.start, word.end) for word in made] == [("Hello,", 0.0, 0.5), ("world.", 0.5, 2.4)]
    assert made[0].probability == pytest.approx(0.5)


def test_words_end_within_their_limits() -> None:
    made = words(tokens((" a", 1.0), (" b", 1.1), (" c", 1.2)), end=1.3)
    assert [(word.start, word.end) for word in made] == [(1.0, 1.1), (1.1, 1.2), (1.2, 1.3)]


@pytest.mark.parametrize("first", [0.0, 1.0, 1.96, 2.0])
@pytest.mark.parametrize("duration", [None, 0.0])
def test_words_of_the_same_frame_follow_each_other(first: float, duration: float | None) -> None:
    text = [" Yes", ".", " And", " so", ",", " no", "."]
    piece = Piece(job(word_timestamps=True), ((RATE, 3 * RATE),), np.zeros(2 * RATE, np.float32), "en")
    end = None if duration is None else first + duration
    [heard] = timed_outcomes([piece], [[Token(part, first, -1.0, end) for part in text]])
    assert isinstance(heard, Heard)
    found = [word for one in heard.segments for word in one.words or []]
    assert [word.word for word in found] == ["Yes.", "And", "so,", "no."]
    assert all(word.end - word.start > 0.019 for word in found)
    assert all(before.end <= after.start + 1e-9 for before, after in itertools.pairwise(found))
    assert all(one.words and one.start == one.words[0].start for one in heard.segments)
    assert all(one.words and one.end >= one.words[-1].end - 1e-9 for one in heard.segments)
    assert found[0].start >= 1.0
    assert found[-1].end <= 3.0 + 1e-9


def test_more_words_than_fit_stay_within_their_piece() -> None:
    piece = Piece(job(word_timestamps=True), ((RATE, RATE + 1600),), np.zeros(1600, np.float32), "en")
    [heard] = timed_outcomes([piece], [[Token(" a", 0.08, -1.0) for _ in range(20)]])
    assert isinstance(heard, Heard)
    found = [word for one in heard.segments for word in one.words or []]
    assert len(found) == 20
    assert all(1.0 <= word.start <= word.end <= 1.1 + 1e-9 for word in found)


def test_a_sentence_ends_at_punctuation_before_a_space() -> None:
    text = tokens((" It", 0), (" is", 1), (" 3", 2), (".", 3), ("5", 4), ("!", 5), (" Yes", 6), ("?", 7), (" No", 8))
    assert [join(sentence) for sentence in sentences(text)] == ["It is 3.5!", "Yes?", "No"]


def test_a_single_space_is_no_word() -> None:
    assert [word.word for word in words(tokens((" ", 0.0), (" a", 0.5)), end=1.0)] == ["a"]


def test_a_segment_has_what_was_requested() -> None:
    text = tokens((" Grü", 1.0), ("ße", 1.2))
    plain = segment(text, 2.0, 100, job().request)
    assert (plain.text, plain.start) == (" Grüße", 1.0)
    assert plain.end == pytest.approx(1.6)
    assert (plain.words, plain.logprobs) == (None, None)
    full = segment(text, 2.0, 100, job(word_timestamps=True, logprobs=True).request)
    assert [word.word for word in full.words or []] == ["Grüße"]
    assert [(entry.token, bytes(entry.bytes)) for entry in full.logprobs or []] == [
        (" Grü", " Grü".encode()),
        ("ße", "ße".encode()),
    ]
