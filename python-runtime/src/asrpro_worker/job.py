"""One transcription on its way through the worker."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asrpro_worker.errors import JobCancelledError
from asrpro_worker.messages import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrpro_worker.messages import Transcribe, WorkerMessage

# Progress messages are at least this far apart, in seconds.
_PROGRESS_INTERVAL = 0.5


class Job:
    """The request, whether it is still wanted, and the seconds spent by stage."""

    def __init__(self, request: Transcribe, send: Callable[[WorkerMessage], None]) -> None:
        self.request = request
        self.send = send
        self.timings: dict[str, float] = {}
        self._cancelled = threading.Event()
        self._last_progress = 0.0
        self._nested = 0.0

    def cancel(self) -> None:
        """Called on the socket's thread; the working thread meets it at its next `check`."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise JobCancelledError when nobody wants the result any more."""
        if self._cancelled.is_set():
            raise JobCancelledError

    def progress(self, position: float) -> None:
        """Tell the gateway that the job is alive, `position` seconds into the audio; checks for cancel too."""
        self.check()
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            self.send(Progress(self.request.job, float(position)))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of the block to `stage`, less those of stages timed inside of it."""
        start, outer, self._nested = time.perf_counter(), self._nested, 0.0
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.timings[stage] = self.timings.get(stage, 0.0) + elapsed - self._nested
            self._nested = outer + elapsed
