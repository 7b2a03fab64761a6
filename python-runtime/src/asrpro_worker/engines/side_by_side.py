"""Results of several iterators that work at the same time, in the order of one after the other."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")


def side_by_side(parts: list[Callable[[], Iterator[T]]]) -> Generator[T]:
    """What all `parts` yield, joined in their order.

    The first works on the caller's thread and is handed on as it comes; the others work ahead as soon as it has its
    first result, which so comes as early as can be. An error of a part is raised in its place. However the iteration
    ends, no part is at work any more afterwards: each is stopped at its next result.
    """
    first, *others = parts
    stop = threading.Event()
    ahead: list[_Ahead[T]] = []
    try:
        for value in first():
            ahead = ahead or [_Ahead(part, stop) for part in others]
            yield value
        ahead = ahead or [_Ahead(part, stop) for part in others]
        for one in ahead:
            yield from one.results()
    finally:
        stop.set()
        for one in ahead:
            one.thread.join()


class _Ahead(Generic[T]):
    def __init__(self, part: Callable[[], Iterator[T]], stop: threading.Event) -> None:
        self._part = part
        self._stop = stop
        self._queue: queue.SimpleQueue[tuple[T | None, BaseException | None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="stretch")
        self.thread.start()

    def results(self) -> Iterator[T]:
        while (item := self._queue.get()) is not None:
            value, error = item
            if error is not None:
                raise error
            yield value  # type: ignore[misc]  # what the part yielded

    def _work(self) -> None:
        try:
            for value in self._part():
                if self._stop.is_set():
                    return
                self._queue.put((value, None))
        except BaseException as error:  # noqa: BLE001 - raised again where the results are read
            self._queue.put((None, error))
        finally:
            self._queue.put(None)
