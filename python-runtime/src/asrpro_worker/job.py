"""The state of one transcription while the worker runs it."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asrpro_worker.errors import JobCancelledError
from asrpro_worker.messages import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrpro_worker.messages import Transcribe, WorkerMessage
    from asrpro_worker.piece import Outcome, Piece

# Least time between two progress messages, in seconds.
_PROGRESS_INTERVAL = 0.5


class Job:
    """The request, its cancellation, the queue of its decoded pieces, and the seconds spent in each stage."""

    def __init__(self, request: Transcribe, send: Callable[[WorkerMessage], None]) -> None:
        self.request = request
        self.send = send
        self.timings: dict[str, float] = {}
        self._outcomes: queue.SimpleQueue[tuple[Piece, Outcome | Exception] | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._position = 0.0
        self._last_progress = 0.0

    def cancel(self) -> None:
        """Called on the socket's thread. The other threads notice it in their next `check` or in `outcome`."""
        self._cancelled.set()
        self._outcomes.put(None)

    @property
    def wanted(self) -> bool:
        """False once the job was cancelled."""
        return not self._cancelled.is_set()

    def check(self) -> None:
        """Raise JobCancelledError if the job was cancelled."""
        if not self.wanted:
            raise JobCancelledError

    def progress(self, position: float) -> None:
        """Tell the gateway that the job is `position` seconds into the audio. Raises JobCancelledError."""
        self.check()
        self._position = max(self._position, position)
        self.alive()

    def alive(self) -> None:
        """Tell the gateway that the job is alive, at its last position."""
        now = time.monotonic()
        if self.wanted and now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            self.send(Progress(self.request.job, float(self._position)))

    def done(self, piece: Piece, outcome: Outcome | Exception) -> None:
        """Hand over the outcome of a piece, or the error that decoding it raised."""
        self._outcomes.put((piece, outcome))

    def outcome(self) -> tuple[Piece, Outcome]:
        """Wait for the next decoded piece. Raises the error of its decoding, or JobCancelledError."""
        item = self._outcomes.get()
        self.check()
        if item is None:
            raise JobCancelledError
        piece, outcome = item
        if isinstance(outcome, Exception):
            raise outcome
        return piece, outcome

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to the seconds of `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start
