"""Decoded audio keeps the file's timestamps: late starts and gaps become silence, and broken timestamps are ignored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from media import encode, tone
from sounds import AUDIO

from asrpro_worker.audio import decode

if TYPE_CHECKING:
    from pathlib import Path

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mkv": ("aac", {}),
    "flac.mkv": ("flac", {}),
    "webm": ("libopus", {"rate": 48_000}),
    "mp4": ("aac", {}),
    "fragmented.mp4": ("aac", {"muxing": {"movflags": "frag_keyframe+empty_moov"}}),
    "mov": ("aac", {}),
    "ts": ("aac", {}),
    "mpg": ("mp2", {"form": "mpeg"}),
    # Ogg has timestamps per page only; live recordings have small pages.
    "ogg": ("libopus", {"rate": 48_000, "muxing": {"page_duration": "20000"}}),
    "flv": ("aac", {}),
    "nut": ("aac", {}),
}
# The muxers of these formats do not write the test's video, or not its start.
NO_PICTURE = ("ogg", "flv", "nut")


def tones_in(path: Path) -> tuple[float, list[tuple[float, float]]]:
    """The duration in seconds, and start and end of each tone."""
    with decode(str(path), lambda _: None) as pcm:
        loud = np.abs(pcm.read(0, pcm.samples)) > 0.05
        blocks = loud[: len(loud) // 160 * 160].reshape(-1, 160).any(axis=1).astype(np.int8)
        edges = np.flatnonzero(np.diff(blocks, prepend=0, append=0)) / 100
        return pcm.duration, list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def make(path: Path, pieces: list[tuple[float, float]], kind: str, **more: Any) -> Path:
    """A file with a tone at each (start, seconds)."""
    codec, how = KINDS[kind]
    rate = how.get("rate", 16_000)
    at = [(start, tone(seconds, rate)) for start, seconds in pieces]
    return encode(path / f"file.{kind}", codec, tone(1, rate), at=at, **how, **more)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_PICTURE])
def test_sound_that_starts_after_the_video(tmp_path: Path, kind: str) -> None:
    seconds, parts = tones_in(make(tmp_path, [(4.98, 1)], kind, picture=7))
    assert np.abs(np.subtract(parts, [(4.98, 5.98)])).max() < 0.25
    # The video is a second longer, so the decoded audio is too.
    assert seconds == pytest.approx(7, abs=0.3)


@pytest.mark.parametrize("kind", ["ts", "mpg", "mp4", "mkv"])
def test_sound_that_starts_a_minute_after_the_video(tmp_path: Path, kind: str) -> None:
    _, parts = tones_in(make(tmp_path, [(63, 1)], kind, picture=65))
    assert np.abs(np.subtract(parts, [(63, 64)])).max() < 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_a_gap_becomes_silence(tmp_path: Path, kind: str) -> None:
    seconds, parts = tones_in(make(tmp_path, [(0, 2), (8, 1), (10, 1)], kind))
    wanted = [(0, 2), (8, 9), (10, 11)]
    assert len(parts) == len(wanted)
    assert np.abs(np.subtract(parts, wanted)).max() < 0.15
    assert seconds == pytest.approx(11, abs=0.15)


@pytest.mark.parametrize(
    ("kind", "codec", "how"),
    [
        ("wmv", "wmav2", {"rate": 44_100, "form": "asf", "options": {"b": "128k"}}),
        ("mka", "aac", {"form": "matroska"}),
        ("m4b", "aac", {"form": "mp4"}),
        ("opus.mp4", "libopus", {"rate": 48_000}),
        ("alac.mov", "alac", {}),
        ("oga", "flac", {"form": "ogg", "muxing": {"page_duration": "20000"}}),
        ("m2ts", "ac3", {"rate": 48_000, "form": "mpegts", "muxing": {"mpegts_m2ts_mode": "1"}}),
        ("mp3.mkv", "mp3", {"rate": 44_100}),
        ("stereo.mkv", "pcm_s16le", {}),
    ],
)
def test_gaps_in_other_containers(tmp_path: Path, kind: str, codec: str, how: dict[str, Any]) -> None:
    rate = how.get("rate", 16_000)
    at = [(start, tone(seconds, rate)) for start, seconds in ((0, 2), (4.5, 1), (9, 1))]
    seconds, parts = tones_in(encode(tmp_path / f"file.{kind}", codec, tone(1, rate), at=at, **how))
    wanted = [(0, 2), (4.5, 5.5), (9, 10)]
    assert np.abs(np.subtract([part for part in parts if part[1] - part[0] > 0.1], wanted)).max() < 0.2
    assert seconds == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_video_starts_with_its_sound(tmp_path: Path, kind: str) -> None:
    # Also if the clock of the recording was already running, and despite the padding of the encoder.
    for start in (0, 5):
        seconds, parts = tones_in(make(tmp_path, [(start, 1)], kind))
        assert parts[0][0] <= 0.07
        assert seconds <= 1.15


@pytest.mark.parametrize("kind", [*KINDS, "wav", "mp3", "aac"])
def test_a_jump_of_ten_hours_is_ignored(tmp_path: Path, kind: str) -> None:
    pieces = [(0, tone(2, 48_000)), (36_000, tone(1, 48_000))]
    codec, how = KINDS.get(kind, ({"wav": "pcm_s16le", "mp3": "mp3", "aac": "aac"}.get(kind, ""), {}))
    path = encode(tmp_path / f"file.{kind}", codec, tone(1, 48_000), **{**how, "rate": 48_000, "at": pieces})
    assert tones_in(path)[0] == pytest.approx(3, abs=0.15)


def test_a_broken_time_base_adds_no_hours_of_silence(tmp_path: Path) -> None:
    # Each frame of some hundredths of a second claims to be ten minutes after the previous one.
    at = [(600 * number, tone(0.064)) for number in range(60)]
    assert tones_in(encode(tmp_path / "file.mkv", "flac", tone(1), at=at))[0] < 4000


@pytest.mark.parametrize("kind", ["ts", "mpg", "webm", "ogg"])
def test_a_clock_that_restarts_adds_no_silence(tmp_path: Path, kind: str) -> None:
    content = make(tmp_path, [(0, 2)], kind).read_bytes()
    path = tmp_path / "twice"
    path.write_bytes(content * 2)
    seconds, _ = tones_in(path)
    assert seconds == pytest.approx(4, abs=0.3)


def test_a_clock_of_33_bits_that_overflows(tmp_path: Path) -> None:
    end = 2**33 / 90_000
    _, parts = tones_in(make(tmp_path, [(end - 2, 1), (end + 4, 1)], "ts"))
    assert np.abs(np.subtract(parts, [(0, 1), (6, 7)])).max() < 0.15


@pytest.mark.parametrize("name", ["zeroed_middle.ogg", "zeroed_middle.webm", "bitrot.webm", "zeroed_middle.m4a"])
def test_sound_after_damage_keeps_its_time(name: str) -> None:
    with decode(str(AUDIO / "formats" / "derived_1272-128104-0000" / "s16_8k.wav"), lambda _: None) as pcm:
        whole = pcm.read(0, pcm.samples)
    with decode(str(AUDIO / "corrupt" / "made" / name), lambda _: None) as pcm:
        end = pcm.read(75_000, 91_000)
    position = np.correlate(whole[60_000:], end, "valid").argmax() + 60_000
    assert position == pytest.approx(75_000, abs=800)


@pytest.mark.skipif(not hasattr(os.stat_result, "st_blocks"), reason="the system does not report it")
def test_silence_uses_no_disk_space(tmp_path: Path) -> None:
    path = make(tmp_path, [(0, 1), (3000, 1)], "mkv")
    with decode(str(path), lambda _: None) as pcm:
        assert pcm.duration == pytest.approx(3001, abs=0.2)
        assert os.fstat(pcm._file.fileno()).st_blocks * 512 < 1_000_000  # noqa: SLF001
