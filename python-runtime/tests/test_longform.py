"""Cuts at pauses, on real speech and on made-up probabilities."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from sounds import AUDIO, NOISE, SILENCE, SPEECH, manifest, noise

from asrpro_worker import longform
from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE, Pcm
from asrpro_worker.speech import WINDOW, speech_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def ignore(_: float) -> None:
    pass


@pytest.fixture
def speech() -> Iterator[NDArray[np.int16]]:
    with decode(str(SPEECH), ignore) as pcm:
        yield (pcm.read(0, pcm.samples) * 32768).astype(np.int16)


def fill(pcm: Pcm, *parts: NDArray[np.int16]) -> None:
    for part in parts:
        pcm.append(part)


def seconds(pcm: Pcm) -> list[tuple[float, float]]:
    return [(start / RATE, stop / RATE) for start, stop in longform.pieces(pcm, ignore)]


def test_probabilities_in_blocks_are_those_of_the_whole(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    fill(pcm, *[speech] * 13)  # 143 s, three blocks
    samples = pcm.read(0, pcm.samples)
    whole = get_vad_model()(np.pad(samples, (0, -len(samples) % WINDOW))).reshape(-1)
    blocks = list(speech_probabilities(pcm, ignore))
    assert len(blocks) == 3
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_gives_nothing(path: Path) -> None:
    with decode(str(path), ignore) as pcm:
        assert seconds(pcm) == []
        assert longform.speech_stretches(pcm, ignore) == []


def test_short_speech_is_one_piece(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    fill(pcm, speech)
    [(start, stop)] = seconds(pcm)
    assert start == 0.0
    assert stop == pytest.approx(11.0, abs=0.6)
    assert longform.speech_stretches(pcm, ignore) == [(0.0, 11.0)]


@pytest.mark.parametrize("folder", ["librispeech", "english", "multilingual"])
def test_real_speech_is_left_whole_so_that_its_text_is_that_without_vad(folder: str) -> None:
    for row in manifest(folder):
        path = AUDIO / folder / row["file"]
        with decode(str(path), ignore) as pcm:
            assert longform.speech_stretches(pcm, ignore) == [(0.0, pcm.duration)], path.name


def test_long_silence_is_left_out(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    silence = np.zeros(20 * RATE, np.int16)
    fill(pcm, silence, speech, silence, speech, silence)
    for found in (seconds(pcm), longform.speech_stretches(pcm, ignore)):
        [(first, first_end), (second, second_end)] = found
        # the speech is at 20 to 31 and 51 to 62
        assert (18.5 < first < 20.5, 30 < first_end < 32.5) == (True, True)
        assert (49.5 < second < 51.5, 61 < second_end < 63.5) == (True, True)


def test_a_tone_of_a_voice_is_a_pause(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    tone = (8000 * np.sin(np.arange(20 * RATE) * 2 * np.pi * 150 / RATE)).astype(np.int16)
    fill(pcm, speech, tone, speech)
    [(_, first_end), (second, _)] = longform.speech_stretches(pcm, ignore)
    assert first_end < 13
    assert second > 29


def test_most_of_what_is_spoken_without_long_pauses_is_not_listened_to(
    monkeypatch: pytest.MonkeyPatch, pcm: Pcm, speech: NDArray[np.int16]
) -> None:
    fill(pcm, *[speech] * 30)
    read = 0

    def counted(start: int, stop: int, read_samples: Callable[[int, int], NDArray[np.float32]] = pcm.read) -> Any:
        nonlocal read
        read += stop - start
        return read_samples(start, stop)

    monkeypatch.setattr(pcm, "read", counted)
    assert longform.speech_stretches(pcm, ignore) == [(0.0, pcm.duration)]
    assert read < pcm.samples / 2


def test_speech_without_end_is_cut_where_it_pauses(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    spoken = speech[: round(10.6 * RATE)]
    fill(pcm, *[spoken] * 12)
    found = seconds(pcm)
    assert all(stop - start <= 30.0 for start, stop in found)
    for (_, stop), (start, _) in itertools.pairwise(found):
        assert stop == start, "nothing is lost between pieces of running speech"
        assert pcm.read(round(stop * RATE) - 160, round(stop * RATE) + 160).std() < 0.02, "it is quiet at the cut"
    assert found[0][0] == 0.0
    assert found[-1][1] == pytest.approx(12 * 10.6, abs=0.7)


def probable(monkeypatch: pytest.MonkeyPatch, probabilities: list[float]) -> Pcm:
    """A file whose windows have the given probabilities."""
    blocks = [np.asarray(probabilities[at : at + 1875], np.float32) for at in range(0, len(probabilities), 1875)]
    monkeypatch.setattr(longform, "speech_probabilities", lambda *_: iter(blocks))
    pcm = object.__new__(Pcm)
    pcm.samples = len(probabilities) * WINDOW
    return pcm


@pytest.mark.parametrize("seed", range(30))
def test_all_speech_lies_in_exactly_one_piece(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities: list[float] = []
    while len(probabilities) < 12_000:
        spoken = random.random() < 0.5
        length = int(random.exponential(random.choice([5, 50, 600])))
        probabilities += [0.9 if spoken else 0.1] * length
    pcm = probable(monkeypatch, probabilities)
    found = list(longform.pieces(pcm, ignore))
    covered = np.zeros(len(probabilities), int)
    for start, stop in found:
        assert 0 < stop - start <= 30 * RATE
        covered[start // WINDOW : -(-stop // WINDOW)] += 1
    spoken_windows = np.asarray(probabilities) >= 0.4
    assert (covered[spoken_windows] == 1).all()
    assert (covered <= 1).all()
    assert found == sorted(found)


def test_unbroken_speech_is_cut_where_it_is_least_like_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = [0.9] * 1500
    probabilities[700] = 0.5
    found = list(longform.pieces(probable(monkeypatch, probabilities), ignore))
    assert found == [(0, 700 * WINDOW), (700 * WINDOW, 1500 * WINDOW)]


def test_the_search_can_be_stopped(pcm: Pcm) -> None:
    class StopError(Exception):
        pass

    def stop(_: float) -> None:
        raise StopError

    fill(pcm, noise(1))
    with pytest.raises(StopError):
        list(longform.pieces(pcm, stop))
