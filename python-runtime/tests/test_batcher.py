"""The batcher with an engine that records its batches."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import job

from asrpro_worker import batcher as batching
from asrpro_worker.batcher import Batcher
from asrpro_worker.errors import JobCancelledError
from asrpro_worker.messages import Progress
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.job import Job
    from asrpro_worker.messages import WorkerMessage

LIMIT = 30.0


@dataclass
class RecordingEngine:
    """An engine that records each batch as a list of job names and calls `during` in it."""

    batches: list[list[str]] = field(default_factory=list)
    during: Callable[[list[Piece]], Any] = lambda _: None

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Any]:
        alive()
        self.batches.append([piece.job.request.job for piece in pieces])
        self.during(pieces)
        return [Heard([]) for _ in pieces]


def batcher_over(engine: RecordingEngine, size: int) -> Batcher:
    return Batcher(engine, size, lambda: None)  # type: ignore[arg-type]  # only `decode` is called


def joined(batcher: Batcher, name: str, pieces: int, sent: list[WorkerMessage] | None = None) -> Job:
    running = job(sent, job=name)
    batcher.join(running)
    submit(batcher, running, pieces)
    return running


def submit(batcher: Batcher, running: Job, pieces: int) -> None:
    for at in range(pieces):
        batcher.submit(Piece(running, ((at, at + 1),), np.zeros(1, np.float32), None))


def test_a_single_job_starts_with_a_small_batch() -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 6)
    joined(batcher, "a", 20)
    for _ in range(5):
        batcher.work()
    assert [len(batch) for batch in engine.batches] == [1, 2, 4, 6, 6]


def test_new_jobs_come_first_and_all_jobs_get_a_turn() -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 4)
    joined(batcher, "long", 30)
    for _ in range(3):
        batcher.work()
    joined(batcher, "b", 1)
    joined(batcher, "c", 3)
    batcher.work()
    assert engine.batches[-1] == ["b", "c"]
    batcher.work()
    assert sorted(engine.batches[-1]) == ["c", "c", "long", "long"]


def test_jobs_that_arrive_together_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_FIRST_PIECE_TIMEOUT", LIMIT)
    engine = RecordingEngine()
    batcher = batcher_over(engine, 4)
    late = job(job="late")
    batcher.join(late)
    joined(batcher, "early", 1)
    timer = threading.Timer(0.01, lambda: submit(batcher, late, 1))
    timer.start()
    batcher.work()
    timer.join()
    assert sorted(engine.batches[0]) == ["early", "late"]


def test_waiting_pieces_of_a_job_that_left_are_dropped() -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 4)
    leaving = joined(batcher, "leaving", 5)
    joined(batcher, "staying", 1)
    batcher.leave(leaving)
    batcher.work()
    assert engine.batches == [["staying"]]


def test_leaving_waits_only_for_a_batch_without_other_jobs() -> None:
    called, release = threading.Event(), threading.Event()

    def wait(_: list[Piece]) -> None:
        called.set()
        assert release.wait(LIMIT)

    for shared in (True, False):
        called.clear()
        release.clear()
        batcher = batcher_over(RecordingEngine(during=wait), 4)
        leaving = joined(batcher, "leaving", 1)
        if shared:
            joined(batcher, "other", 1)
        working = threading.Thread(target=batcher.work)
        working.start()
        assert called.wait(LIMIT)
        leaves = threading.Thread(target=batcher.leave, args=(leaving,))
        leaves.start()
        if shared:
            leaves.join(LIMIT)
            assert working.is_alive()
        release.set()
        leaves.join(LIMIT)
        working.join(LIMIT)
        assert not leaves.is_alive()


def test_cancelled_jobs_are_not_decoded() -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 4)
    cancelled = joined(batcher, "cancelled", 1)
    cancelled.cancel()
    batcher.work()
    assert engine.batches == []
    with pytest.raises(JobCancelledError):
        cancelled.outcome()


def test_an_error_fails_only_the_job_of_its_piece() -> None:
    def fail(pieces: list[Piece]) -> None:
        if any(piece.job.request.job == "bad" for piece in pieces):
            raise ValueError("bad")

    batcher = batcher_over(RecordingEngine(during=fail), 4)
    bad, good = joined(batcher, "bad", 1), joined(batcher, "good", 1)
    batcher.work()
    assert isinstance(good.outcome()[1], Heard)
    with pytest.raises(ValueError, match="bad"):
        bad.outcome()


def test_waiting_jobs_report_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asrpro_worker.job._PROGRESS_INTERVAL", 0)
    batcher = batcher_over(RecordingEngine(), 1)
    sent: list[WorkerMessage] = []
    joined(batcher, "first", 1)
    joined(batcher, "waits", 1, sent)
    batcher.work()
    assert [type(message) for message in sent] == [Progress]


def test_slow_batches_become_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 8)
    joined(batcher, "a", 40)
    for _ in range(4):
        batcher.work()
    monkeypatch.setattr(batching, "_MAX_SECONDS", -1.0)
    batcher.work()
    batcher.work()
    batcher.work()
    assert [len(batch) for batch in engine.batches] == [1, 2, 4, 8, 8, 4, 2]


def test_a_long_job_gets_smaller_batches_while_other_jobs_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MAX_SECONDS_SHARED", -1.0)
    engine = RecordingEngine()
    batcher = batcher_over(engine, 8)
    joined(batcher, "long", 40)
    for _ in range(4):
        batcher.work()
    batcher.leave(joined(batcher, "short", 0))
    batcher.work()
    batcher.work()
    monkeypatch.setattr(batching, "_SHARED_SECONDS", 0.0)
    batcher.leave(joined(batcher, "last", 0))
    batcher.work()
    batcher.work()
    assert [len(batch) for batch in engine.batches] == [1, 2, 4, 8, 8, 4, 2, 4]


def test_slow_batches_of_first_pieces_do_not_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MAX_SECONDS_SHARED", -1.0)
    engine = RecordingEngine()
    batcher = batcher_over(engine, 4)
    for name in "abcdefgh":
        joined(batcher, name, 1)
    batcher.work()
    batcher.work()
    assert [len(batch) for batch in engine.batches] == [4, 4]


def test_a_stream_of_short_files_does_not_starve_a_long_one() -> None:
    engine = RecordingEngine()
    batcher = batcher_over(engine, 1)
    joined(batcher, "long", 30)
    for number in range(8):
        joined(batcher, f"short-{number}", 1)
        batcher.work()
    assert sum(batch == ["long"] for batch in engine.batches) >= 3
