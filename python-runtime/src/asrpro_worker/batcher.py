"""Collects the pieces of all jobs into batches; the only caller of the engine's `decode`."""

from __future__ import annotations

import copy
import itertools
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from asrpro_worker.engines.protocol import one_at_a_time
from asrpro_worker.errors import ClusterError, JobCancelledError
from asrpro_worker.memory import return_unused

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.protocol import Engine
    from asrpro_worker.job import Job
    from asrpro_worker.piece import Outcome, Piece

log = logging.getLogger(__name__)

# A batch that takes longer than this is followed by smaller ones, because a new short file waits for the batch to end.
_MAX_SECONDS = 20.0
# A lower limit for some time after a job arrived while others were running: the next short file is likely then.
_MAX_SECONDS_SHARED = 5.0
_SHARED_SECONDS = 30.0
# How long a batch waits for the first pieces of jobs that have just arrived, so that those need not wait for its end.
_FIRST_PIECE_TIMEOUT = 0.1
# After so many batches the unused memory is returned, because the holes between allocations grow for an hour.
_RETURN_MEMORY_EVERY = 16
# Upper limits for batches in flight and for pieces that a job cuts ahead, which are 0.5 GB of samples.
_MAX_IN_FLIGHT = 256
_MAX_AHEAD = 256


class _JobQueue:
    """The waiting pieces of one job.

    `served`: the turn in which the job arrived or last had a piece in a batch. `ready`: its first piece has arrived, or
    a batch has waited long enough for it. `batches`: how many batches have held its pieces.
    """

    def __init__(self, job: Job, turn: int) -> None:
        self.job = job
        self.waiting: deque[Piece] = deque()
        self.ready = False
        self.served = turn
        self.batches = 0


class Batcher:
    """Jobs `join`, `submit` pieces and `leave`, each on its own thread; one thread calls `work`.

    Every other batch is reserved for first pieces of jobs, so short files are answered early. The others are filled in
    turn, the longest waiting job first; a job gets 1 place in its first batch, up to 2 in its second, then up to 4.
    `wake` is called when there may be work. `in_flight`: how many batches may be decoded at the same time; from two on
    each has a thread, and `work` does not wait for it.
    """

    def __init__(
        self, engine: Engine, max_pieces: int, wake: Callable[[], None], in_flight: Callable[[], int] = one_at_a_time
    ) -> None:
        self._engine = engine
        self._in_flight = in_flight
        self._threads = ThreadPoolExecutor(_MAX_IN_FLIGHT, thread_name_prefix="batch")
        self._max_pieces = self._size = max_pieces
        self._shared_until = 0.0
        self._last_was_new = False
        self._batches = 0
        self._wake = wake
        self._queues: dict[Job, _JobQueue] = {}
        self._running: list[list[Piece]] = []
        self._turn = itertools.count(1)
        self._changed = threading.Condition()

    @property
    def ahead(self) -> int:
        """How many pieces a job cuts ahead: enough for one more batch than can be decoded at the same time."""
        return min(_MAX_AHEAD, self._max_pieces * (1 + self._in_flight()))

    def join(self, job: Job) -> None:
        """Register a job that will submit pieces."""
        with self._changed:
            if self._queues:
                self._shared_until = time.monotonic() + _SHARED_SECONDS
            self._queues[job] = _JobQueue(job, next(self._turn))

    def submit(self, piece: Piece, *, first: bool = False) -> None:
        """Queue a piece of a job that has joined; with `first`, ahead of the job's other pieces."""
        with self._changed:
            queue = self._queues[piece.job]
            queue.ready = True
            (queue.waiting.appendleft if first else queue.waiting.append)(piece)
            self._changed.notify_all()
        self._wake()

    def leave(self, job: Job) -> None:
        """Drop the waiting pieces of a job. Blocks while the engine decodes a batch of this job's pieces alone."""
        with self._changed:
            self._queues.pop(job, None)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(all(piece.job is job for piece in batch) for batch in self._running))

    def work(self) -> None:
        """Decode one batch, or start decoding it on a thread, if a piece waits and the engine is free."""
        with self._changed:
            queues = self._queues.values()
            self._changed.wait_for(lambda: all(queue.ready for queue in queues), _FIRST_PIECE_TIMEOUT)
            for queue in self._queues.values():
                queue.ready = True
            if len(self._running) >= self._in_flight() or not (batch := self._take()):
                return
            self._running.append(batch)
            first = all(self._queues[piece.job].batches == 1 for piece in batch)
        self._batches += 1
        if self._batches % _RETURN_MEMORY_EVERY == 0:
            return_unused()
        if self._in_flight() == 1:
            self._work_on(batch, first=first)
        else:
            self._threads.submit(self._work_on, batch, first=first)
            self._wake()

    def _work_on(self, batch: list[Piece], *, first: bool) -> None:
        start = time.monotonic()
        outcomes = self._decode(batch)
        for piece, outcome in zip(batch, outcomes, strict=True):
            piece.job.done(piece, outcome)
        with self._changed:
            self._adapt(len(batch), time.monotonic() - start, first=first)
            self._running.remove(batch)
            more = any(queue.waiting for queue in self._queues.values())
            self._changed.notify_all()
        if more:
            self._wake()

    def _decode(self, batch: list[Piece]) -> list[Outcome | Exception]:
        """Decode a batch. If it fails, decode its pieces one by one, so that the error fails only the job at fault."""
        attempts = [copy.copy(piece.attempt) for piece in batch]
        try:
            return list(self._engine.decode(batch, lambda: self._alive(batch)))
        except JobCancelledError as error:
            return [error] * len(batch)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, ClusterError):
                return [error] * len(batch)
            log.exception("A batch of %d pieces failed; retrying each piece alone", len(batch))
            for piece, attempt in zip(batch, attempts, strict=True):
                piece.attempt = attempt
            return [outcome for piece in batch for outcome in self._decode([piece])]

    def _take(self) -> list[Piece]:
        batch: list[Piece] = []
        waiting = sorted((queue for queue in self._queues.values() if queue.waiting), key=lambda queue: queue.served)
        new = [] if self._last_was_new else [queue for queue in waiting if not queue.batches]
        queues = new or waiting
        self._last_was_new = bool(new)
        places = dict.fromkeys(queues, 0)
        while len(batch) < self._size:
            eligible = [queue for queue in queues if queue.waiting and places[queue] < 2**queue.batches]
            if not eligible:
                break
            for queue in eligible[: self._size - len(batch)]:
                batch.append(queue.waiting.popleft())
                places[queue] += 1
        turn = next(self._turn)
        for queue, pieces in places.items():
            if pieces:
                queue.served, queue.batches = turn, queue.batches + 1
        return batch

    def check(self, job: Job) -> None:
        """Report all jobs as alive. Raises JobCancelledError if `job` was cancelled.

        Called while a file is decoded and searched for speech: both take minutes for hours of sound on a slow machine,
        and the gateway ends a worker that seems to hang.
        """
        job.check()
        self._all_alive()

    def _all_alive(self) -> None:
        with self._changed:
            jobs = [queue.job for queue in self._queues.values()]
        for job in jobs:
            job.alive()

    def _alive(self, batch: list[Piece]) -> None:
        """Report all jobs as alive. Raises JobCancelledError if the batch has no wanted job."""
        self._all_alive()
        if not any(piece.job.wanted for piece in batch):
            raise JobCancelledError

    def _adapt(self, pieces: int, seconds: float, *, first: bool) -> None:
        """Halve or double the batch size after a batch that took `seconds`.

        Batches of first pieces are spared the stricter limit: in smaller batches these jobs would wait longer in total.
        """
        shared = not first and time.monotonic() < self._shared_until
        limit = _MAX_SECONDS_SHARED if shared else _MAX_SECONDS
        if seconds > limit:
            self._size = max(1, pieces // 2)
            log.info("A batch of %d pieces took %.0f s; the next batches are smaller", pieces, seconds)
        elif pieces == self._size and seconds < limit / 3:
            self._size = min(self._max_pieces, 2 * self._size)
