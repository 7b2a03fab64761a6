"""Speech is found below other sound: after a louder speaker, and with offset, hum or rumble in the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import hear, job
from sounds import SPEECH

from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE, Pcm
from asrpro_worker.rumble import without_rumble
from asrpro_worker.speech import SPEECH as LIMIT
from asrpro_worker.speech import speech_probabilities
from asrpro_worker.vad_input import WINDOW

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.engine import Whisper

AT = np.arange(11 * RATE) / RATE
BELOW = {
    "offset": np.full(len(AT), 0.5),
    "offset of 2 %": np.full(len(AT), 0.02),
    "hum": 0.4 * np.sin(2 * np.pi * 50 * AT),
    "rumble": 0.3 * np.sin(2 * np.pi * 12 * AT),
}


def spoken(directory: Path, samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    with Pcm(directory) as pcm:
        pcm.append((samples * 32767).round().astype(np.int16))
        return np.concatenate(list(speech_probabilities(pcm, lambda _: None))) >= LIMIT


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float64]:
    """11 s of speech with a peak of 1."""
    with decode(str(SPEECH), lambda _: None) as pcm:
        samples = pcm.read(0, pcm.samples).astype(np.float64)
    loudest: float = np.abs(samples).max()
    return samples / loudest


@pytest.mark.parametrize("decibels", [-35, -45])
def test_a_faint_speaker_after_a_loud_one(tmp_path: Path, speech: NDArray[np.float64], decibels: int) -> None:
    wanted = spoken(tmp_path, speech)
    loud = speech[: len(speech) // WINDOW * WINDOW]
    found = spoken(tmp_path, np.concatenate([loud, speech * 10 ** (decibels / 20)]))[len(loud) // WINDOW :]
    assert (wanted & ~found).sum() < 0.2 * wanted.sum()


@pytest.mark.parametrize("decibels", [-25, -40])
@pytest.mark.parametrize("below", BELOW)
def test_speech_above_low_frequencies(tmp_path: Path, speech: NDArray[np.float64], below: str, decibels: int) -> None:
    wanted = spoken(tmp_path, speech)
    found = spoken(tmp_path, speech * 10 ** (decibels / 20) + BELOW[below])
    assert (wanted & ~found).sum() < 0.05 * wanted.sum()
    assert (found & ~wanted).sum() < 0.1 * len(wanted)


@pytest.mark.parametrize("below", BELOW)
def test_low_frequencies_alone_are_no_speech(tmp_path: Path, below: str) -> None:
    noise = np.random.default_rng(3).standard_normal(len(AT)) * 1e-4
    assert not spoken(tmp_path, BELOW[below] + noise).any()


def test_clean_speech_is_not_filtered(speech: NDArray[np.float64]) -> None:
    samples = speech.astype(np.float32)
    assert without_rumble(samples) is samples


def test_the_text_of_faint_speech_above_an_offset(tiny_whisper: Whisper, pcm: Pcm, speech: NDArray[np.float64]) -> None:
    pcm.append(((speech * 0.01 + 0.5) * 32767).round().astype(np.int16))
    _, segments = hear(tiny_whisper, pcm, job(vad_filter=True))
    words = " ".join(segment.text for segment in segments).split()
    assert 20 <= len(words) <= 24
    assert words[-1] == "country."
