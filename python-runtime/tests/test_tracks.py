"""Which audio track is used, and what the answer says if there is none."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from media import tone
from sounds import AUDIO

from asrpro_worker.audio import decode
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write(path: Path, *sounds: NDArray[np.float32]) -> Path:
    """A file with an AAC track for each sound."""
    with av.open(str(path), "w") as target:
        packets: list[Any] = []
        for stream in [target.add_stream("aac", rate=16_000, layout="mono") for _ in sounds]:
            frame = av.AudioFrame.from_ndarray(sounds[stream.index], format="flt", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 0
            packets += [*stream.encode(frame), *stream.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts):
            target.mux(packet)
    return path


def heard(path: Path) -> list[float]:
    """Duration and peak."""
    with decode(str(path), lambda _: None) as pcm:
        return [pcm.duration, float(np.abs(pcm.read(0, pcm.samples)).max())]


@pytest.mark.parametrize("kind", ["mkv", "mp4", "ts"])
def test_a_muted_first_track_is_skipped(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"screen.{kind}", np.zeros((1, 48_000), np.float32), tone(2))
    # The file is as long as its longest track.
    assert heard(path) == [pytest.approx(3, abs=0.15), pytest.approx(0.5, abs=0.05)]


def test_tracks_that_are_all_muted_give_silence_of_their_length(tmp_path: Path) -> None:
    path = write(tmp_path / "screen.mkv", *(np.zeros((1, samples), np.float32) for samples in (16_000, 48_000, 100)))
    assert heard(path) == [pytest.approx(3, abs=0.15), 0]


def test_the_first_track_with_sound_is_used_alone(tmp_path: Path) -> None:
    assert heard(write(tmp_path / "film.mkv", tone(1) / np.float32(50), tone(2))) == [
        pytest.approx(2, abs=0.15),
        pytest.approx(0.01, abs=0.002),
    ]


def test_the_answer_says_that_a_film_has_no_audio_track() -> None:
    with pytest.raises(WorkerError, match=r"\. The file has no audio track\.$"):
        decode(str(AUDIO / "corrupt" / "made" / "video_only.mp4"), lambda _: None)


def test_a_track_that_begins_after_megabytes_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "film.mpg"
    with av.open(str(path), "w") as target:
        video, spoken = target.add_stream("mpeg2video", rate=25), target.add_stream("mp2", rate=48_000, layout="mono")
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        packets: list[Any] = []
        for number in range(400):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            for packet in video.encode(picture):
                # Zeros may follow a picture.
                padded = av.Packet(bytes(packet) + bytes(60_000))
                padded.pts, padded.dts, padded.time_base = packet.pts, packet.dts, packet.time_base
                padded.stream = video
                packets.append(padded)
        frame = av.AudioFrame.from_ndarray((tone(1, 48_000) * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 9 * 48_000
        packets += [*spoken.encode(frame), *spoken.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            target.mux(packet)
    assert heard(path) == [pytest.approx(16, abs=0.3), pytest.approx(0.5, abs=0.05)]
