"""Cuts at pauses, with real speech and with made-up probabilities."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from sounds import NOISE, SILENCE, SPEECH, noise

from asrpro_worker import cuts
from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE, Pcm
from asrpro_worker.speech import speech_probabilities
from asrpro_worker.vad_input import WINDOW

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


def seconds(pcm: Pcm, *, whole: bool = False) -> list[list[tuple[float, float]]]:
    """The spans of each piece."""
    found = cuts.pieces(pcm, ignore, whole=whole)
    return [[(start / RATE, stop / RATE) for start, stop in cut.spans] for cut in found]


def test_probabilities_of_blocks_equal_those_of_the_whole_file(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    fill(pcm, *[speech] * 13)  # 143 s, three blocks
    samples = pcm.read(0, pcm.samples)
    whole = get_vad_model()(np.pad(samples, (0, -len(samples) % WINDOW))).reshape(-1)
    blocks = list(speech_probabilities(pcm, ignore))
    assert len(blocks) >= 3
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_gives_no_pieces(path: Path) -> None:
    with decode(str(path), ignore) as pcm:
        assert seconds(pcm) == []
        assert seconds(pcm, whole=True)[0][0][0] == 0.0, "unless the whole file is requested"


def _hum(at: NDArray[np.float64]) -> NDArray[np.float64]:
    harmonics = np.arange(1, 8)[:, None]
    hum: NDArray[np.float64] = (np.sin(2 * np.pi * 50 * harmonics * at) / harmonics).sum(axis=0)
    return hum


def _brown_noise(at: NDArray[np.float64]) -> NDArray[np.float64]:
    walk = np.cumsum(np.random.default_rng(1).normal(size=len(at)))
    slow = walk - np.convolve(walk, np.ones(400) / 400, "same")
    brown: NDArray[np.float64] = 0.5 * slow / slow.std()
    return brown


@pytest.mark.parametrize("length", [20, 60, 90])
@pytest.mark.parametrize("sound", [_hum, _brown_noise, lambda at: np.sin(2 * np.pi * 440 * at)])
def test_no_speech_is_lost_after_a_long_sound(
    pcm: Pcm, speech: NDArray[np.int16], sound: Callable[[NDArray[np.float64]], NDArray[np.float64]], length: int
) -> None:
    with decode(str(SPEECH), ignore) as clip:
        alone = np.flatnonzero(np.concatenate(list(speech_probabilities(clip, ignore))) >= 0.4) * WINDOW / RATE
    fill(pcm, (3200 * sound(np.arange(length * RATE) / RATE)).astype(np.int16), speech)
    spans = [span for piece in seconds(pcm) for span in piece]
    lost = [at for at in alone if not any(start <= length + at <= stop for start, stop in spans)]
    assert len(lost) * WINDOW / RATE <= 0.1
    assert sum(stop - start for start, stop in spans) < 11 + 9


def test_short_speech_is_one_piece(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    fill(pcm, speech)
    [spans] = seconds(pcm)
    assert spans[0][0] == pytest.approx(0.0, abs=0.4)
    assert spans[-1][1] == pytest.approx(11.0, abs=0.6)


def test_long_pauses_are_removed_from_a_piece(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    silence = np.zeros(20 * RATE, np.int16)
    fill(pcm, silence, speech, silence, speech, silence)
    [spans] = seconds(pcm)
    # The speech is at 20 to 31 s and at 51 to 62 s.
    assert 19.3 < spans[0][0] < 20.5
    assert 61 < spans[-1][1] < 62.5
    assert any(stop < 32 and start > 50 for (_, stop), (start, _) in itertools.pairwise(spans))
    assert sum(stop - start for start, stop in spans) < 22.5


def test_the_vad_runs_only_as_far_as_a_piece_needs(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    fill(pcm, *[speech] * 30)
    visited: list[float] = []
    found = cuts.pieces(pcm, visited.append)
    next(found)
    assert visited == [0.0], "the first minute"


def test_hours_of_silence_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = probable(monkeypatch, [0.1] * 400_000 + [0.9] * 100)
    [[(start, stop)]] = [list(cut.spans) for cut in cuts.pieces(pcm, ignore)]
    assert start == (400_000 - round(0.3 * RATE / WINDOW)) * WINDOW
    assert stop == 400_100 * WINDOW


def test_long_speech_is_cut_at_pauses(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    spoken = speech[: round(10.6 * RATE)]
    fill(pcm, *[spoken] * 12)
    found = seconds(pcm)
    assert all(sum(stop - start for start, stop in spans) <= 30.0 for spans in found)
    for before, after in itertools.pairwise(found):
        cut = round(after[0][0] * RATE)
        assert before[-1][1] <= after[0][0]
        assert pcm.read(cut - 160, cut + 160).std() < 0.02, "it is quiet at the cut"
    assert found[-1][-1][1] == pytest.approx(12 * 10.6, abs=0.7)


def test_the_first_of_several_pieces_is_short(pcm: Pcm, speech: NDArray[np.int16]) -> None:
    """The first text of 60 s came after half of the time with base, and after 84 to 99 % of it with tiny.en."""
    fill(pcm, *[speech] * 6)
    lengths = [sum(stop - start for start, stop in spans) for spans in seconds(pcm)]
    assert 5.0 <= lengths[0] <= 10.0
    assert all(length >= 12.0 for length in lengths[1:])


def probable(monkeypatch: pytest.MonkeyPatch, probabilities: list[float]) -> Pcm:
    """A PCM file whose windows have the given probabilities of speech."""
    blocks = [np.asarray(probabilities[at : at + 1875], np.float32) for at in range(0, len(probabilities), 1875)]
    monkeypatch.setattr(cuts, "speech_probabilities", lambda *_: iter(blocks))
    pcm = object.__new__(Pcm)
    pcm.samples = len(probabilities) * WINDOW
    return pcm


@pytest.mark.parametrize("seed", range(30))
def test_all_speech_is_in_exactly_one_piece(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities: list[float] = []
    while len(probabilities) < 12_000:
        spoken = random.random() < 0.5
        length = int(random.exponential(random.choice([5, 50, 600])))
        probabilities += [0.9 if spoken else 0.1] * length
    pcm = probable(monkeypatch, probabilities)
    for whole in (False, True):
        found = [cut.spans for cut in cuts.pieces(pcm, ignore, whole=whole)]
        covered = np.zeros(len(probabilities), int)
        for spans in found:
            assert 0 < sum(stop - start for start, stop in spans) <= 30 * RATE
            for start, stop in spans:
                covered[start // WINDOW : -(-stop // WINDOW)] += 1
        wanted = np.asarray(probabilities) >= (0 if whole else 0.4)
        assert (covered[wanted] == 1).all()
        assert (covered <= 1).all()
        assert found == sorted(found)


def test_speech_without_pauses_is_cut_at_the_least_probable_window(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = [0.9] * 1500
    probabilities[250] = probabilities[900] = 0.5
    found = [cut.spans for cut in cuts.pieces(probable(monkeypatch, probabilities), ignore)]
    assert found == [
        ((0, 250 * WINDOW),),
        ((250 * WINDOW, 900 * WINDOW),),
        ((900 * WINDOW, 1500 * WINDOW),),
    ]


def test_cutting_can_be_cancelled(pcm: Pcm) -> None:
    class StopError(Exception):
        pass

    def stop(_: float) -> None:
        raise StopError

    fill(pcm, noise(1))
    with pytest.raises(StopError):
        list(cuts.pieces(pcm, stop))
