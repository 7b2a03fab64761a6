"""Work that is done at the same time and read in order, and the models that do it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import job
from sounds import SPEECH, noise, write_wav

from asrpro_worker import longform
from asrpro_worker.audio import decode
from asrpro_worker.engines.faster_whisper import FasterWhisper
from asrpro_worker.engines.replicas import Replicas
from asrpro_worker.engines.side_by_side import side_by_side
from asrpro_worker.engines.threads import job_count, threads_alone
from asrpro_worker.messages import Load, Model
from asrpro_worker.pcm import RATE, Pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 30.0


def ignore(_: float) -> None:
    pass


def test_parts_work_at_the_same_time_and_are_read_in_order() -> None:
    second_is_done = threading.Event()

    def first() -> Iterator[int]:
        yield 1
        assert second_is_done.wait(LIMIT), "the second part works while the first does"
        yield 2

    def second() -> Iterator[int]:
        yield 3
        second_is_done.set()
        yield 4

    assert list(side_by_side([first, second])) == [1, 2, 3, 4]


def test_an_error_stands_in_the_place_of_its_part() -> None:
    def failing() -> Iterator[int]:
        yield 2
        raise ValueError("here")

    together = side_by_side([lambda: iter([1]), failing, lambda: iter([3])])
    assert [next(together), next(together)] == [1, 2]
    with pytest.raises(ValueError, match="here"):
        next(together)


def test_nothing_works_on_after_the_end() -> None:
    stopped = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            stopped.set()

    together = side_by_side([lambda: iter([1, 2]), endless])
    assert next(together) == 1
    together.close()
    assert stopped.is_set()


def test_one_alone_takes_the_wide_model_and_company_the_narrow_one() -> None:
    loaded = threading.Event()

    def narrow() -> Any:
        loaded.set()
        return "narrow"

    replicas = Replicas("wide", narrow, 0)
    with replicas.at_work():
        assert replicas.current == "wide"
        assert not loaded.is_set(), "whoever is alone does not pay for company"
        with replicas.at_work():
            assert loaded.wait(LIMIT)
            while replicas.current == "wide":
                pass
            assert replicas.current == "narrow"
        assert replicas.current == "wide"


def test_without_memory_for_two_there_is_one() -> None:
    replicas = Replicas("wide", pytest.fail, 1 << 60)
    with replicas.at_work(), replicas.at_work():
        for thread in threading.enumerate():
            if thread.name == "narrow":
                thread.join(LIMIT)
        assert replicas.current == "wide"


@pytest.mark.parametrize(
    ("asked", "threads", "jobs"), [(0, 1, 1), (0, 2, 2), (0, 8, 2), (0, 16, 4), (0, 64, 4), (1, 8, 1), (8, 2, 2)]
)
def test_jobs_side_by_side(asked: int, threads: int, jobs: int) -> None:
    assert job_count(asked, threads) == jobs


@pytest.mark.parametrize(("threads", "jobs", "each"), [(1, 1, 1), (2, 2, 2), (8, 2, 8), (16, 4, 8), (2, 8, 1)])
def test_threads_of_a_job_alone(threads: int, jobs: int, each: int) -> None:
    assert threads_alone(threads, jobs) == each


def test_a_long_file_is_cut_at_a_pause(pcm: Pcm) -> None:
    with decode(str(SPEECH), ignore) as speech:
        samples = (speech.read(0, speech.samples) * 32768).astype(np.int16)
    for _ in range(8):
        pcm.append(samples)
    pcm.append(np.zeros(2 * RATE, np.int16))
    middle = pcm.samples / RATE - 1
    for _ in range(8):
        pcm.append(samples)
    [(first,), (second,)] = longform.split(pcm, [(0.0, pcm.duration)], 2, ignore)
    assert (first[0], second[1]) == (0.0, pcm.duration)
    assert first[1] == second[0] == pytest.approx(middle, abs=1.0)


def test_a_cut_falls_between_stretches_or_into_one(pcm: Pcm) -> None:
    pcm.append(np.zeros(400 * RATE, np.int16))
    stretches = [(0.0, 90.0), (200.0, 310.0)]
    parts = longform.split(pcm, stretches, 2, ignore)
    assert sum(end - start for part in parts for start, end in part) == pytest.approx(200.0)
    assert len(parts) == 2


def test_the_segments_of_a_long_file_come_in_order(whisper: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asrpro_worker.engines.faster_whisper._LADDER", (0.0,))
    monkeypatch.setattr("asrpro_worker.engines.faster_whisper._LONG", 60.0)
    engine = FasterWhisper()
    facts = engine.load(Load("r", Model("toy", str(whisper), None, None), "cpu", "float32", 2, 0), lambda _: None)
    assert (facts.threads, facts.concurrency) == (2, 2)
    audio = write_wav(spool / "upload", noise(200))
    with decode(str(audio), ignore) as pcm:
        recognition = engine.transcribe(job(language=None), pcm)
        segments = list(recognition.segments)
    assert recognition.language in ("en", "de", "fr")
    assert [segment.id for segment in segments] == list(range(len(segments)))
    starts = [segment.seek for segment in segments]
    assert starts == sorted(starts)
    assert segments[-1].seek > 6000, "the second half was heard too"
