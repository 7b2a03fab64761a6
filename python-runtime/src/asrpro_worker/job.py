"""One transcription on its way through the worker."""

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

# Progress messages are at least this far apart, in seconds.
_PROGRESS_INTERVAL = 0.5


class Job:
    """The request, whether it is still wanted, what came back of its pieces, and the seconds spent by stage."""

    def __init__(self, request: Transcribe, send: Callable[[WorkerMessage], None]) -> None:
        self.request = request
        self.send = send
        self.timings: dict[str, float] = {}
        self._outcomes: queue.SimpleQueue[tuple[Piece, Outcome | Exception] | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._position = 0.0
        self._last_progress = 0.0

    def cancel(self) -> None:
        """Called on the socket's thread; the working threads meet it at their next `check` or in `outcome`."""
        self._cancelled.set()
        self._outcomes.put(None)

    @property
    def wanted(self) -> bool:
        """Has nobody cancelled it?"""
        return not self._cancelled.is_set()

    def check(self) -> None:
        """Raise JobCancelledError when nobody wants the result any more."""
        if not self.wanted:
            raise JobCancelledError

    def progress(self, position: float) -> None:
        """Tell the gateway that the job is alive, `position` seconds into the audio; checks for cancel too."""
        self.check()
        self._position = max(self._position, position)
        self.alive()

    def alive(self) -> None:
        """Tell the gateway that the job is where it was, and alive."""
        now = time.monotonic()
        if self.wanted and now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            self.send(Progress(self.request.job, float(self._position)))

    def done(self, piece: Piece, outcome: Outcome | Exception) -> None:
        """A piece has been decoded, or what went wrong with it."""
        self._outcomes.put((piece, outcome))

    def outcome(self) -> tuple[Piece, Outcome]:
        """Wait for the next piece that is done. Raises what its decoding raised, or JobCancelledError."""
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
        """Add the seconds of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start
