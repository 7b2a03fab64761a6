"""What travels between the gateway's worker and a replica: pieces without their job, and what was heard in them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.errors import WorkerError
from asrpro_worker.piece import Piece

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Transcribe

# Samples of 16 bit lie on disk, and half as many bytes travel.
_SCALE = np.float32(32768)
# Samples that are looked at together, so that what is made of them stays in the cache: half a millisecond a piece.
_CHUNK = 16_384
# These stay: the job lives in the gateway's worker, and what an engine knows of a piece in the replica that tries it.
_LEFT_BEHIND = ("job", "samples", "attempt")


@dataclass(frozen=True)
class Parcel:
    """One piece, 1 MB at most, and the request that it belongs to. `told`: the other fields of the piece."""

    request: Transcribe
    samples: NDArray[np.int16] | NDArray[np.float32]
    told: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A piece that could not be decoded; the exception itself need not exist on the other side."""

    code: str
    message: str
    param: str | None

    def error(self) -> WorkerError:
        """As it is raised."""
        return WorkerError(self.code, self.message, self.param)


def pack(piece: Piece) -> Parcel:
    """Samples that came from 16 bit go back to them without a loss; others travel as they are."""
    told = {field.name: getattr(piece, field.name) for field in fields(piece) if field.name not in _LEFT_BEHIND}
    short = _as_16_bit(piece.samples)
    return Parcel(piece.job.request, piece.samples if short is None else short, told)


def unpack(parcel: Parcel, job: Job) -> Piece:
    """The same piece, of a job of this process."""
    samples = parcel.samples
    sound = samples.astype(np.float32) / _SCALE if samples.dtype == np.int16 else samples
    return Piece(job=job, samples=np.asarray(sound, np.float32), **parcel.told)


def _as_16_bit(samples: NDArray[np.float32]) -> NDArray[np.int16] | None:
    short = np.empty(len(samples), np.int16)
    for at in range(0, len(samples), _CHUNK):
        whole = samples[at : at + _CHUNK] * _SCALE
        part = short[at : at + _CHUNK]
        np.copyto(part, whole, casting="unsafe")
        if not (part == whole).all():
            return None
    return short
