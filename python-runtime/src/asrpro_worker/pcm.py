"""Decoded audio in an unnamed temporary file: mono, 16 kHz, 16 bit."""

from __future__ import annotations

import contextlib
import errno
import logging
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

RATE = 16_000
_BYTES = 2
# The disk is full, the user's quota is used up, or the file has its largest size.
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


class Pcm:
    """Samples are appended and read in stretches, so that an hour of audio needs no more memory than a minute.

    The file is created in `directory`, or in the system's temporary directory if that is not writable. No other process
    can open it, and it disappears with this process. One thread may append while others read the samples that it has
    settled.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by __exit__
        except OSError:
            with _disk_errors():
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._lock = threading.Lock()
        self.samples = 0
        # How many of the samples will not be dropped again.
        self.settled = 0
        # Number of damaged packets that the decoder skipped.
        self.skipped_packets = 0

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.samples / RATE

    def append(self, samples: NDArray[np.int16]) -> None:
        """Append int16 samples of shape (n,). Raises WorkerError: `disk_full` or `internal_error`."""
        if len(samples) == 0:
            return
        with self._lock, _disk_errors():
            self._file.seek(self.samples * _BYTES)
            self._file.write(np.ascontiguousarray(samples).data)
            # Flush now: a write error in the next call would come after these samples were counted.
            self._file.flush()
        self.samples += len(samples)

    def append_silence(self, samples: int) -> None:
        """Append zeros; most file systems store no blocks for them."""
        with self._lock, _disk_errors():
            self._file.truncate((self.samples + samples) * _BYTES)
        self.samples += samples

    def truncate(self, samples: int) -> None:
        """Drop all but the first `samples`."""
        with self._lock, _disk_errors():
            self._file.truncate(samples * _BYTES)
        self.samples = samples

    def settle(self) -> None:
        """Promise that the samples so far will not be dropped."""
        self.settled = self.samples

    def reaches(self, sample: int) -> bool:
        """See Sound; all samples of a complete file are known."""
        return self.samples > sample

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) as float32 between -1 and 1; indices outside of the audio are ignored."""
        start, stop = max(0, start), min(stop, self.samples)
        with self._lock:
            self._file.seek(start * _BYTES)
            raw = self._file.read(max(0, stop - start) * _BYTES)
        samples: NDArray[np.float32] = np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768)
        return samples

    def close(self) -> None:
        """Delete the file."""
        # Closing repeats a write that a full disk refused, and may fail again.
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Pcm:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("The decoded audio cannot be written: %s", error)
        if error.errno in _FULL:
            message = "The disk has no space left for the decoded audio, which needs 115 MB per hour."
            raise WorkerError("disk_full", message) from error
        message = f"The decoded audio cannot be written to the disk ({error.strerror})."
        raise WorkerError("internal_error", message) from error


def spool_directory(audio: str) -> Path:
    """The directory for the PCM of an audio file: next to the upload, whose disk had enough space for it."""
    return Path(audio).parent
