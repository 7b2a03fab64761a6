"""Decoded audio on disk: mono, 16 kHz, 16 bit, in a file that has no name."""

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
# No space, no more of the user's share, no larger file.
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


class Pcm:
    """Samples are appended once and then read in stretches, so that an hour needs no more memory than a minute.

    The file lies in `directory`, is nobody else's to open and vanishes with the process; where the directory cannot be
    written to, the system's temporary one is used. Once it is complete, several threads may read.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by __exit__
        except OSError:
            with _disk_errors():
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._lock = threading.Lock()
        self.samples = 0
        # Damaged packets that decoding left out.
        self.skipped_packets = 0

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / RATE

    def append(self, samples: NDArray[np.int16]) -> None:
        """Add int16 samples of shape (n,) at the end."""
        if len(samples) == 0:
            return
        with _disk_errors():
            self._file.seek(self.samples * _BYTES)
            self._file.write(np.ascontiguousarray(samples).data)
            # Here and not in the next call, where the samples would have been counted already.
            self._file.flush()
        self.samples += len(samples)

    def append_silence(self, samples: int) -> None:
        """Add so many zeros at the end; most file systems keep no blocks for them."""
        with _disk_errors():
            self._file.truncate((self.samples + samples) * _BYTES)
        self.samples += samples

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) as float32 in -1 to 1; what lies outside of the audio is left away."""
        start, stop = max(0, start), min(stop, self.samples)
        with self._lock:
            self._file.seek(start * _BYTES)
            raw = self._file.read(max(0, stop - start) * _BYTES)
        samples: NDArray[np.float32] = np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768)
        return samples

    def close(self) -> None:
        """Give the disk space back."""
        # What a full disk did not take is tried once more here.
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
            message = "There is no disk space left for the decoded audio; it needs 115 MB for each hour."
            raise WorkerError("disk_full", message) from error
        message = f"The decoded audio cannot be written to the disk ({error.strerror})."
        raise WorkerError("internal_error", message) from error


def spool_directory(audio: str) -> Path:
    """Where the PCM of an audio file goes: beside it, on the disk that had room for the upload."""
    return Path(audio).parent
