"""A file is read while a thread still decodes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media import tone, wav
from sounds import AUDIO
from test_tracks import write

from asrpro_worker.audio import decode
from asrpro_worker.decoding import Decoding
from asrpro_worker.errors import JobCancelledError, WorkerError
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

# Only a reader that waits for the whole file reaches this.
_TIMEOUT = 20


def test_the_beginning_is_read_before_the_rest_is_decoded(tmp_path: Path) -> None:
    path = wav(tmp_path / "minute.wav", tone(60), 16)
    held = threading.Event()
    in_time: list[bool] = []
    with Decoding(str(path), lambda: in_time.append(held.wait(_TIMEOUT))) as sound:
        beginning = sound.read(0, 1000)
        held.set()
        whole = sound.read(0, sound.samples)
    assert all(in_time)
    np.testing.assert_array_equal(beginning, whole[:1000])
    with decode(str(path), lambda _: None) as pcm:
        np.testing.assert_array_equal(whole, pcm.read(0, pcm.samples))
        assert pcm.samples == 60 * RATE


def test_the_silence_of_a_muted_track_is_never_read(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", np.zeros((1, 60 * RATE), np.float32), tone(60))
    with Decoding(str(path), lambda: None) as sound:
        assert np.abs(sound.read(0, RATE)).max() > 0.4


def test_the_reader_gets_the_error(tmp_path: Path) -> None:
    with Decoding(str(AUDIO / "corrupt" / "made" / "video_only.mp4"), lambda: None) as sound:
        for read in (lambda: sound.reaches(0), lambda: sound.samples, lambda: sound.read(0, 1)):
            with pytest.raises(WorkerError, match="no audio track"):
                read()
    with (
        Decoding(str(wav(tmp_path / "short.wav", tone(0.05), 16)), lambda: None) as sound,
        pytest.raises(WorkerError, match="too short"),
    ):
        sound.reaches(10)


def test_an_error_of_the_check_stops_the_thread_and_the_reader(tmp_path: Path) -> None:
    def cancelled() -> None:
        raise JobCancelledError

    with (
        Decoding(str(wav(tmp_path / "file.wav", tone(60), 16)), cancelled) as sound,
        pytest.raises(JobCancelledError),
    ):
        sound.duration  # noqa: B018


def test_the_end_of_the_block_ends_the_thread(tmp_path: Path) -> None:
    def decoding() -> int:
        return sum(thread.name == "decode" for thread in threading.enumerate())

    released = threading.Event()
    with Decoding(str(wav(tmp_path / "file.wav", tone(60), 16)), released.wait) as sound:
        sound.read(0, 1)
        assert decoding() == 1
        released.set()
    assert decoding() == 0
