"""One Whisper for a job alone, another for jobs side by side."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

# The second copy of the weights may take this part of the memory that is free.
_SHARE_OF_FREE_MEMORY = 4


class Replicas:
    """CTranslate2 gives each of its workers a fixed number of threads, and the best number depends on the company.

    Measured on two cores with whisper-base: a job alone is half as fast again with both; two jobs with one thread each
    take 0.9 of the time of two jobs with both each, and leave the gateway in peace: the 99th percentile of `/health`
    is 9 ms instead of 25 ms. So there are two models over the same files: `wide`, whose workers have the threads of a
    job alone, and `narrow`, whose workers share the cores. The second is loaded, aside, when jobs first run side by
    side, so that whoever sends one file after the other never pays for it. Which one computes is decided for each
    call, a second or so, and so follows the jobs as they come and go. The text is the same.
    """

    def __init__(self, wide: Any, load_narrow: Callable[[], Any] | None, weight_bytes: int) -> None:
        """`load_narrow` is None where there are no threads to share: on a GPU or with one thread."""
        self.wide = wide
        self._narrow: Any = None
        self._load_narrow = load_narrow
        self._weight_bytes = weight_bytes
        self._running = 0
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Counts a job, for as long as the block lasts."""
        with self._lock:
            self._running += 1
            if self._running > 1 and self._load_narrow is not None:
                load, self._load_narrow = self._load_narrow, None
                threading.Thread(target=self._fetch_narrow, args=(load,), name="narrow", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    @property
    def busy(self) -> bool:
        """Is a job at work?"""
        return self._running > 0

    @property
    def current(self) -> Any:
        """The model that the next call is made on."""
        return self.wide if self._narrow is None or self._running < 2 else self._narrow  # noqa: PLR2004 - side by side

    def _fetch_narrow(self, load: Callable[[], Any]) -> None:
        free = psutil.virtual_memory().available
        if self._weight_bytes * _SHARE_OF_FREE_MEMORY > free:
            log.info("Too little memory for a second copy of the weights: jobs side by side are slower")
            return
        try:
            self._narrow = load()
        except Exception:
            log.exception("The model for jobs side by side could not be loaded; the other one goes on alone")
