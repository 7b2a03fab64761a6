"""A file that can be read while it is still decoded, so that the first text does not wait for the last packet."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from asrpro_worker.audio import decode_into
from asrpro_worker.errors import JobCancelledError
from asrpro_worker.pcm import RATE, Pcm, spool_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray


class Decoding:
    """A Sound that a thread decodes. The end of the `with` block stops the thread and deletes the samples.

    `check` is called on that thread, at least once per packet, and may raise to stop it. See `decode_into` for errors.
    """

    def __init__(self, path: str, check: Callable[[], object]) -> None:
        self._path = path
        self._check = check
        self._pcm = Pcm(spool_directory(path))
        self._changed = threading.Condition()
        self._settled = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._decode, name="decode")

    @property
    def samples(self) -> int:
        """See Sound."""
        self._wait(lambda: False)
        return self._settled

    @property
    def duration(self) -> float:
        """See Sound."""
        return self.samples / RATE

    @property
    def skipped_packets(self) -> int:
        """Number of damaged packets that were skipped so far."""
        return self._pcm.skipped_packets

    def reaches(self, sample: int) -> bool:
        """See Sound."""
        self._wait(lambda: self._settled > sample)
        return self._settled > sample

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """See Sound."""
        self.reaches(stop - 1)
        return self._pcm.read(start, stop)

    def _wait(self, enough: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or enough())
        if self._error is not None:
            raise self._error

    def _decode(self) -> None:
        try:
            decode_into(self._pcm, self._path, self._grew)
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that reads
            self._error = error
        with self._changed:
            self._settled = self._pcm.settled
            self._ended = True
            self._changed.notify_all()

    def _grew(self, _seconds: float) -> None:
        with self._changed:
            self._settled = self._pcm.settled
            self._changed.notify_all()
        if self._stopped:
            raise JobCancelledError
        self._check()

    def __enter__(self) -> Decoding:  # noqa: PYI034 - Self is not in Python 3.10
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped = True
        self._thread.join()
        self._pcm.close()
