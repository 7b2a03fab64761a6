"""What travels between the gateway's worker and a replica: pieces without their job, and the results."""

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

# Most audio is 16-bit on disk, so 16 bits per sample are sent: half the bytes of float32, and lossless.
_SCALE = np.float32(32768)
_STEP = 1 / _SCALE
# Samples per step, so that the temporary arrays stay in the CPU cache: packing a piece takes half a millisecond.
_CHUNK = 16_384
# Not sent: the job stays in the gateway's worker, and `attempt` stays in the replica that retries.
_NOT_SENT = ("job", "samples", "attempt")


@dataclass(frozen=True)
class Payload:
    """One piece, at most 1 MB, with the request that it belongs to. `fields` are the other fields of the piece."""

    request: Transcribe
    samples: NDArray[np.int16] | NDArray[np.float32]
    fields: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A piece that could not be decoded. The exception is not sent: its class may not exist on the other side."""

    code: str
    message: str
    param: str | None

    def error(self) -> WorkerError:
        """The exception to raise."""
        return WorkerError(self.code, self.message, self.param)


def pack(piece: Piece) -> Payload:
    """The payload of a piece. Samples that fit 16 bits exactly are sent as int16, all others as float32."""
    rest = {field.name: getattr(piece, field.name) for field in fields(piece) if field.name not in _NOT_SENT}
    short = _as_16_bit(piece.samples)
    return Payload(piece.job.request, piece.samples if short is None else short, rest)


def unpack(payload: Payload, job: Job) -> Piece:
    """The same piece, for a job of this process."""
    samples = payload.samples
    # One pass and one array: `astype` followed by a division took twice as long.
    sound = samples * _STEP if samples.dtype == np.int16 else samples
    return Piece(job=job, samples=np.asarray(sound, np.float32), **payload.fields)


def _as_16_bit(samples: NDArray[np.float32]) -> NDArray[np.int16] | None:
    """The samples as int16, or None where that would lose something."""
    short = np.empty(len(samples), np.int16)
    for at in range(0, len(samples), _CHUNK):
        scaled = samples[at : at + _CHUNK] * _SCALE
        part = short[at : at + _CHUNK]
        np.copyto(part, scaled, casting="unsafe")
        if not (part == scaled).all():
            return None
    return short
