"""Sounds without speech, alone and after speech: no text is invented, and no speech is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import hear, job
from sounds import SPEECH

from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.engine import Whisper
    from asrpro_worker.pcm import Pcm

SECONDS = 40


def sound(name: str) -> NDArray[np.float32]:
    """40 s of a sound between -1 and 1, the same every time."""
    random = np.random.default_rng(5)
    at = np.arange(SECONDS * RATE) / RATE
    hiss = random.standard_normal(len(at))
    beat = np.exp(-6 * (at % 0.5))
    made = {
        "tones": np.sin(2 * np.pi * np.array([330, 440, 550, 880])[(at // 2).astype(int) % 4] * at) * 0.3,
        "hum": sum(np.sin(2 * np.pi * 50 * step * at) / step for step in (1, 2, 3, 5)) * 0.2,
        "white noise": hiss * 0.1,
        "pink noise": np.fft.irfft(np.fft.rfft(hiss) / np.sqrt(np.arange(len(hiss) // 2 + 1) + 1)) * 8,
        "music": chords(at) * (0.3 + 0.7 * beat) * 0.2 + hiss * beat * 0.02,
        "clicks": (random.random(len(at)) < 3 / RATE) * 0.9,
        "engine": sum(np.sin(2 * np.pi * 27 * step * at + step) for step in range(1, 20)) * 0.03 + hiss * 0.02,
        "quiet noise": hiss * 1e-3,
        "offset": np.full(len(at), 0.3),
    }[name]
    clipped: NDArray[np.float32] = np.clip(made, -1, 1).astype(np.float32)
    return clipped


def chords(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four chords of two seconds; each has three voices with three harmonics."""
    roots = np.array([220.0, 261.6, 293.7, 196.0])[(at // 2).astype(int) % 4]
    voices = [np.sin(2 * np.pi * roots * ratio * step * at) / step for ratio in (1, 1.25, 1.5) for step in (1, 2, 3)]
    return np.asarray(sum(voices))


SOUNDS = ("tones", "hum", "white noise", "pink noise", "music", "clicks", "engine", "quiet noise", "offset")


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    with decode(str(SPEECH), lambda _: None) as pcm:
        return pcm.read(0, pcm.samples)


def text(engine: Whisper, pcm: Pcm, *parts: NDArray[np.float32]) -> list[str]:
    for part in parts:
        pcm.append((part * 32767).astype(np.int16))
    _, segments = hear(engine, pcm, job(vad_filter=True, segment_timestamps=False, beam_size=1))
    return "".join(segment.text for segment in segments).split()


@pytest.mark.parametrize("name", SOUNDS)
def test_no_text_is_invented_for_a_sound(tiny_whisper: Whisper, pcm: Pcm, name: str) -> None:
    assert text(tiny_whisper, pcm, sound(name)) == []


@pytest.mark.parametrize("name", SOUNDS)
def test_only_the_speech_before_a_sound_gives_text(
    tiny_whisper: Whisper, pcm: Pcm, speech: NDArray[np.float32], name: str
) -> None:
    words = text(tiny_whisper, pcm, speech, sound(name))
    assert words[:5] == ["And", "so,", "my", "fellow", "Americans,"] or words[:4] == ["And", "so", "my", "fellow"], (
        words
    )
    assert 20 <= len(words) <= 24, words
    assert words[-1] == "country.", words
