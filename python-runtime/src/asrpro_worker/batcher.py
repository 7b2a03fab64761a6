"""One queue for the pieces of all jobs, and the only caller of the engine's `decode`."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from asrpro_worker.engines.protocol import one_at_a_time
from asrpro_worker.errors import ClusterError, JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.protocol import Engine
    from asrpro_worker.job import Job
    from asrpro_worker.piece import Outcome, Piece

log = logging.getLogger(__name__)

# A batch that takes longer than this is followed by smaller ones: whoever comes with a short file waits for its end.
_PATIENCE = 20.0
# How long a batch waits for the first pieces of jobs that have just come, so that they need not wait for its end.
_COMPANY = 0.1
# Batches that are away at the same time at most, and pieces that a job cuts ahead: 0.5 GB of samples.
_MOST_AWAY = 256
_MOST_AHEAD = 256


class _Line:
    """The pieces of one job that wait. `served`: the turn in which the job was last given a place, 0 for never.

    `awaited`: its first piece is there, or was waited for long enough.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.waiting: deque[Piece] = deque()
        self.awaited = False
        self.served = 0
        self.batches = 0


class Batcher:
    """Jobs `join`, `submit` pieces and `leave`, each on its thread; one thread calls `work`.

    Who was never served comes first, then who waits longest, one piece each in turn. A job gets one place in its first
    batch, two in the next, then four: its first text comes early. `wake` is called when there may be work.

    `in_flight`: batches that may be decoded at a time. From two on each has a thread, and `work` does not wait.
    """

    def __init__(
        self, engine: Engine, size: int, wake: Callable[[], None], in_flight: Callable[[], int] = one_at_a_time
    ) -> None:
        self._engine = engine
        self._in_flight = in_flight
        self._threads = ThreadPoolExecutor(_MOST_AWAY, thread_name_prefix="batch")
        self._most = self._size = size
        self._wake = wake
        self._lines: dict[Job, _Line] = {}
        self._running: list[list[Piece]] = []
        self._turn = itertools.count(1)
        self._changed = threading.Condition()

    @property
    def ahead(self) -> int:
        """Pieces that a job has cut at most, so that one batch is ready while as many as may be are decoded."""
        return min(_MOST_AHEAD, self._most * (1 + self._in_flight()))

    def join(self, job: Job) -> None:
        """A job that will submit pieces has come."""
        with self._changed:
            self._lines[job] = _Line(job)

    def submit(self, piece: Piece, *, first: bool = False) -> None:
        """Queue a piece of a job that has joined; `first`, before its others."""
        with self._changed:
            line = self._lines[piece.job]
            line.awaited = True
            (line.waiting.appendleft if first else line.waiting.append)(piece)
            self._changed.notify_all()
        self._wake()

    def leave(self, job: Job) -> None:
        """Drop what waits of a job. A call of the engine that is made for it alone is waited for."""
        with self._changed:
            self._lines.pop(job, None)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(all(piece.job is job for piece in batch) for batch in self._running))

    def work(self) -> None:
        """Decode one batch, if any piece waits and the engine has a place; or have it decoded."""
        with self._changed:
            self._changed.wait_for(lambda: all(line.awaited for line in self._lines.values()), _COMPANY)
            for line in self._lines.values():
                line.awaited = True
            if len(self._running) >= self._in_flight() or not (batch := self._take()):
                return
            self._running.append(batch)
        if self._in_flight() == 1:
            self._work_on(batch)
        else:
            self._threads.submit(self._work_on, batch)
            self._wake()

    def _work_on(self, batch: list[Piece]) -> None:
        start = time.monotonic()
        outcomes = self._decode(batch)
        for piece, outcome in zip(batch, outcomes, strict=True):
            piece.job.done(piece, outcome)
        with self._changed:
            self._adapt(len(batch), time.monotonic() - start)
            self._running.remove(batch)
            more = any(line.waiting for line in self._lines.values())
            self._changed.notify_all()
        if more:
            self._wake()

    def _decode(self, batch: list[Piece]) -> list[Outcome | Exception]:
        """What fails together is tried alone: an error, or too little memory for all, costs one job at most."""
        try:
            return list(self._engine.decode(batch, lambda: self._alive(batch)))
        except JobCancelledError as error:
            return [error] * len(batch)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, ClusterError):
                return [error] * len(batch)
            log.exception("A batch of %d pieces failed; each is tried alone", len(batch))
            return [outcome for piece in batch for outcome in self._decode([piece])]

    def _take(self) -> list[Piece]:
        batch: list[Piece] = []
        lines = sorted(self._lines.values(), key=lambda line: line.served)
        given = dict.fromkeys(lines, 0)
        while len(batch) < self._size:
            able = [line for line in lines if line.waiting and given[line] < 2**line.batches]
            if not able:
                break
            for line in able[: self._size - len(batch)]:
                batch.append(line.waiting.popleft())
                given[line] += 1
        turn = next(self._turn)
        for line, pieces in given.items():
            if pieces:
                line.served, line.batches = turn, line.batches + 1
        return batch

    def _alive(self, batch: list[Piece]) -> None:
        """Every job lives while the engine works, those that wait for it as well."""
        with self._changed:
            jobs = [line.job for line in self._lines.values()]
        for job in jobs:
            job.alive()
        if not any(piece.job.wanted for piece in batch):
            raise JobCancelledError

    def _adapt(self, pieces: int, seconds: float) -> None:
        if seconds > _PATIENCE:
            self._size = max(1, pieces // 2)
            log.info("A batch of %d pieces took %.0f s; the next have fewer", pieces, seconds)
        elif pieces == self._size and seconds < _PATIENCE / 3:
            self._size = min(self._most, 2 * self._size)
