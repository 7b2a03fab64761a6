"""The downmix: speech does not cancel, is not attenuated by silent channels, and has no clicks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import hear, job
from media import on_channel, tone, wav
from sounds import SPEECH, noise

from asrpro_worker.audio import decode
from asrpro_worker.downmix import Downmix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.engine import Whisper
    from asrpro_worker.pcm import Pcm

FILM = ["FL", "FR", "FC", "LFE", "BL", "BR"]


def level(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def mixed(sound: NDArray[np.float32], names: list[str] | None = None) -> NDArray[np.float32]:
    return Downmix(names or ["NONE"] * len(sound)).mix(np.ascontiguousarray(sound.T, np.float32))


@pytest.mark.parametrize(("number", "channels"), [(2, 3), (3, 6), (3, 8), (40, 64), (0, 64)])
def test_one_channel_of_many_keeps_its_level(number: int, channels: int) -> None:
    names = FILM if channels == 6 else None
    np.testing.assert_allclose(mixed(on_channel(number, channels), names), tone(1)[0], atol=1e-6)


def test_nearly_silent_channels_may_have_noise() -> None:
    sound = np.random.default_rng(0).normal(0, 0.001, (64, 16_000)).astype(np.float32)
    sound[40] += tone(1)[0]
    assert level(mixed(sound)) == pytest.approx(level(tone(1)), rel=0.05)


@pytest.mark.parametrize("part", [1.0, 0.95, 0.9, 0.8, 0.7, 0.5, 0.3])
def test_a_pair_that_cancels_partly(part: float) -> None:
    sound = tone(1)[0]
    assert level(mixed(np.stack([sound, -part * sound]))) > 0.2 * level(sound)
    assert level(mixed(np.stack([part * sound, -sound]))) > 0.2 * level(sound)


def test_a_pair_that_cancels_in_a_film() -> None:
    sound = on_channel(0, 6)
    sound[1] = -sound[0]
    assert level(mixed(sound, FILM)) == pytest.approx(level(tone(1)), rel=0.01)


def test_a_cancelling_pair_with_a_dc_offset() -> None:
    sound = np.stack([tone(1)[0] + 0.4, -tone(1)[0] + 0.4])
    heard = mixed(sound)
    assert level(heard - heard.mean()) == pytest.approx(level(tone(1)), rel=0.01)


def test_no_clicks_where_a_pair_begins_and_ends_to_cancel() -> None:
    sound = np.repeat(tone(3), 2, axis=0)
    sound[1, 16_000:32_000] *= -1
    heard = mixed(sound)
    assert min(level(part) for part in heard.reshape(-1, 4000)) > 0.4 * level(tone(1))
    steepest = np.abs(np.diff(tone(1)[0])).max()
    # The places where the file itself jumps are left out.
    assert np.abs(np.diff(heard[100:15_900])).max() <= steepest
    assert np.abs(np.diff(heard[16_400:31_900])).max() <= 1.1 * steepest
    assert np.abs(np.diff(heard[32_400:])).max() <= 1.1 * steepest


def test_a_pair_gives_its_mean() -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 50_000)).astype(np.float32)
    np.testing.assert_allclose(mixed(sound), sound.mean(axis=0), atol=1e-6)
    sound[1] = 0
    np.testing.assert_allclose(mixed(sound), sound[0] / 2, atol=1e-6)


def test_speech_in_the_centre_of_a_film_is_louder_than_its_music() -> None:
    rng = np.random.default_rng(0)
    sound = rng.uniform(-0.1, 0.1, (6, 16_000)).astype(np.float32)
    sound[2] = tone(1)[0]
    assert level(mixed(sound, FILM)) > 0.25 * level(tone(1))


def test_cancelling_channels_of_eight_bits(tmp_path: Path) -> None:
    with decode(str(wav(tmp_path / "file.wav", np.concatenate([tone(1), -tone(1)]), 8)), lambda _: None) as pcm:
        assert level(pcm.read(0, pcm.samples)) == pytest.approx(level(tone(1)), rel=0.05)


def test_channels_that_cancel_in_a_part_of_a_file(tmp_path: Path) -> None:
    left = (noise(4) / 32768).astype(np.float32)
    right = left.copy()
    right[: 2 * 16_000] *= -1
    with decode(str(wav(tmp_path / "file.wav", np.stack([left, right]), 16)), lambda _: None) as pcm:
        parts = pcm.read(0, pcm.samples).reshape(-1, 8000)
    assert min(level(part) for part in parts) > 0.7 * level(left)


@functools.cache
def spoken() -> NDArray[np.float32]:
    with decode(str(SPEECH), lambda _: None) as pcm:
        samples: NDArray[np.float32] = pcm.read(0, pcm.samples)
        return samples


def hiss(loud: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, loud, len(spoken())).astype(np.float32)


def hum() -> NDArray[np.float32]:
    wave: NDArray[np.floating] = 0.3 * np.sin(np.arange(len(spoken())) * (2 * np.pi * 50 / 16_000))
    return wave.astype(np.float32)


MIXTURES: dict[str, Callable[[NDArray[np.float32]], tuple[list[NDArray[np.floating]], list[str] | None]]] = {
    "a cancelling pair, each with its own noise": lambda s: ([s + hiss(0.02), hiss(0.02, 1) - s], None),
    "a cancelling pair with common hum": lambda s: ([s + hum(), hum() - s], None),
    "a cancelling pair with a drifting offset": lambda s: (
        [s + np.linspace(0, 0.4, len(s)), np.linspace(0, 0.4, len(s)) - s],
        None,
    ),
    "inverted in parts": lambda s: ([s, s * np.where(np.arange(len(s)) // 40_000 % 2, 1, -1)], None),
    "inverted and delayed": lambda s: ([s, -np.roll(s, 16)], None),
    "delayed": lambda s: ([s, np.roll(s, 160)], None),
    "the other channel is loud noise": lambda s: ([hiss(0.3), s], None),
    "noise in front, speech behind": lambda s: ([hiss(0.3), hiss(0.3, 1), 0 * s, 0 * s, s, 0 * s], FILM),
    "noise in the centre, speech in the LFE channel": lambda s: ([0 * s, 0 * s, hiss(0.1), s, 0 * s, 0 * s], FILM),
    "one of 64 in noise": lambda s: ([*[hiss(0.01, seed) for seed in range(63)], s], None),
    "two against one": lambda s: ([s, s, -s], None),
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_speech_is_recognized_after_mixing(tiny_whisper: Whisper, pcm: Pcm, kind: str) -> None:
    channels, names = MIXTURES[kind](spoken())
    pcm.append((mixed(np.stack(channels), names) * 32767).round().clip(-32768, 32767).astype(np.int16))
    _, segments = hear(tiny_whisper, pcm, job(beam_size=1, segment_timestamps=False))
    text = "".join(segment.text for segment in segments).lower()
    for words in ("fellow america", "your country can do for you", "you can do for your country"):
        assert words in text
