"""Gaps are kept after a clock restarts, where single packets are lost, and where only a picture runs for hours."""

from __future__ import annotations

import itertools
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from media import tone
from test_file_clock import make, tones_in

from asrpro_worker.file_clock import FileClock

if TYPE_CHECKING:
    from pathlib import Path


def assert_tones(path: Path, wanted: list[tuple[float, float]]) -> None:
    _, parts = tones_in(path)
    found: list[tuple[float, float]] = []
    for start, end in parts:
        # Encoders pad their files with some hundredths of a second.
        if found and start - found[-1][1] < 0.2:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    assert len(found) == len(wanted), found
    assert np.abs(np.subtract(found, wanted)).max() < 0.3, found


@pytest.mark.parametrize("kind", ["ts", "mpg", "webm", "mkv"])
def test_a_gap_after_the_clock_restarted(tmp_path: Path, kind: str) -> None:
    first = make(tmp_path, [(0, 4)], kind).read_bytes()
    second = make(tmp_path, [(0, 1), (4, 1)], kind).read_bytes()
    path = tmp_path / "joined"
    path.write_bytes(first + second)
    assert_tones(path, [(0, 5), (8, 9)])


@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_a_gap_in_the_first_part_that_is_longer_than_the_second(tmp_path: Path, kind: str) -> None:
    first = make(tmp_path, [(0, 1), (600, 1)], kind).read_bytes()
    second = make(tmp_path, [(0, 20)], kind).read_bytes()
    path = tmp_path / "joined"
    path.write_bytes(first + second)
    assert_tones(path, [(0, 1), (600, 621)])


@pytest.mark.parametrize("kind", ["mkv", "ts", "mp4"])
def test_a_gap_after_a_jump_of_ten_hours(tmp_path: Path, kind: str) -> None:
    assert_tones(make(tmp_path, [(0, 2), (36_000, 1), (36_005, 1)], kind), [(0, 3), (7, 8)])


def test_lost_packets_do_not_add_up(tmp_path: Path) -> None:
    path = tmp_path / "call.webm"
    sound = tone(40, 48_000)
    sound[:, 36 * 48_000 : 38 * 48_000] = 0
    with av.open(str(path), "w") as target:
        stream: Any = target.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        for number, packet in enumerate([*stream.encode(frame), *stream.encode(None)]):
            if number % 12 != 11:
                target.mux(packet)
    seconds, parts = tones_in(path)
    [after] = [start for (_, end), (start, _) in itertools.pairwise(parts) if start - end > 1]
    assert after == pytest.approx(38, abs=0.3)
    assert seconds == pytest.approx(40, abs=0.3)


def test_sound_that_starts_more_than_an_hour_after_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "muted.mkv"
    with av.open(str(path), "w") as target:
        video: Any = target.add_stream("mpeg2video", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        spoken: Any = target.add_stream("flac", rate=16_000, layout="mono")
        packets = []
        for number in range(85):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts, picture.time_base = number * 1250, Fraction(1, 25)
            packets += video.encode(picture)
        frame = av.AudioFrame.from_ndarray((tone(1) * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 4100 * 16_000
        packets += [*video.encode(None), *spoken.encode(frame), *spoken.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            target.mux(packet)
    assert_tones(path, [(4100, 4101)])


@pytest.mark.parametrize("wrong", [-40.0, 20_000.0])
def test_a_single_wrong_timestamp_adds_no_silence(wrong: float) -> None:
    container: Any = SimpleNamespace(format=SimpleNamespace(name="matroska"), start_time=0, duration=None)
    clock = FileClock(container, 12 * 3600, [])
    position = 0.0
    for number in range(2000):
        at = number * 0.064 + (wrong if number == 1000 else 0)
        frame: Any = SimpleNamespace(samples=1024, sample_rate=16_000, time=at, time_base=Fraction(1, 1000))
        silence = clock.silence_before(frame, position)
        assert silence == 0
        position += silence + 0.064
