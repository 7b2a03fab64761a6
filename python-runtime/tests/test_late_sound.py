"""Sound that starts late or has gaps, in containers that FFmpeg's muxers write without such times."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from media import encode, tone
from test_file_clock import tones_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("kind", "codec", "how"),
    [
        ("asf", "mp3", {"rate": 44_100, "form": "asf"}),
        ("wtv", "mp2", {"rate": 48_000}),
        ("vob", "ac3", {"rate": 48_000, "form": "vob"}),
        ("m2ts", "ac3", {"rate": 48_000, "form": "mpegts", "muxing": {"mpegts_m2ts_mode": "1"}}),
        ("pcm.mov", "pcm_s16le", {}),
    ],
)
def test_sound_that_starts_after_the_picture(tmp_path: Path, kind: str, codec: str, how: dict[str, Any]) -> None:
    sound = tone(1, how.get("rate", 16_000))
    seconds, parts = tones_in(encode(tmp_path / f"file.{kind}", codec, sound, at=[(4.98, sound)], picture=7, **how))
    assert np.abs(np.subtract(parts, [(4.98, 5.98)])).max() < 0.1
    assert seconds == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize(("codec", "rate"), [("pcm_s16le", 16_000), ("mp3", 44_100), ("aac", 16_000)])
def test_the_start_of_a_track_in_avi(tmp_path: Path, codec: str, rate: int) -> None:
    path = encode(tmp_path / "file.avi", codec, tone(2, rate), rate=rate, picture=8)
    content = bytearray(path.read_bytes())
    # The header of the audio track: type, 16 bytes, scale and rate of its times, start.
    at = content.index(b"auds", content.index(b"strh") + 60)
    scale, ticks = struct.unpack_from("<II", content, at + 20)
    struct.pack_into("<I", content, at + 28, round(4 * ticks / scale))
    path.write_bytes(content)
    _, parts = tones_in(path)
    assert np.abs(np.subtract(parts, [(4, 6)])).max() < 0.1


@pytest.mark.parametrize(
    ("move", "wanted"),
    [
        (lambda time: time + 5000, [(5, 9)]),
        (lambda time: time + (5000 if time >= 2000 else 0), [(0, 2), (7, 9)]),
    ],
)
def test_the_times_of_packets_in_realmedia(
    tmp_path: Path, move: Callable[[int], int], wanted: list[tuple[float, float]]
) -> None:
    path = encode(tmp_path / "file.rm", "ac3", tone(4, 48_000), rate=48_000)
    content = bytearray(path.read_bytes())
    # The properties of the stream: name and size of the chunk, 20 bytes, start, preroll and duration in milliseconds.
    struct.pack_into(">I", content, content.index(b"MDPR") + 36, 10_000)
    at = content.index(b"DATA") + 18
    while at + 12 < len(content):
        length, _, time = struct.unpack_from(">HHI", content, at + 2)
        struct.pack_into(">I", content, at + 6, move(time))
        at += length
    path.write_bytes(content)
    _, parts = tones_in(path)
    assert np.abs(np.subtract(parts, wanted)).max() < 0.1
