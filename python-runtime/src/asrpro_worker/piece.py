"""The unit of work: speech of one job that an engine hears in one go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Segment
    from asrpro_worker.sound import Sound

Spans = tuple[tuple[int, int], ...]

# A cut inside of a piece falls where a tenth of a second is the quietest.
_QUIET = RATE // 10


@dataclass(eq=False)
class Piece:
    """At most 30 s of speech: `samples` are those of the file in `spans`, [start, stop) each, one after the other.

    `language` is None where the engine has to find it. `attempt` belongs to the engine: what it knows of a piece that
    it has tried in vain and wants to try again.
    """

    job: Job
    spans: Spans
    samples: NDArray[np.float32]
    language: str | None
    attempt: Any = field(default=None, repr=False)

    @property
    def start(self) -> float:
        """Seconds of the file."""
        return self.spans[0][0] / RATE

    @property
    def end(self) -> float:
        """Seconds of the file."""
        return self.spans[-1][1] / RATE

    def stretch(self, start: float, end: float) -> tuple[float, float]:
        """Seconds of the piece as seconds of the file, both in the span that holds their middle."""
        middle, offset = (start + end) / 2, 0.0
        for first, stop in self.spans:
            length = (stop - first) / RATE
            if middle < offset + length or stop == self.spans[-1][1]:
                break
            offset += length
        low, high = first / RATE, stop / RATE
        return tuple(min(max(low, low + moment - offset), high) for moment in (start, end))  # type: ignore[return-value]

    def halves(self) -> list[Piece]:
        """Two pieces, cut in the quietest place of the middle third."""
        third = len(self.samples) // 3
        loudness = np.convolve(np.abs(self.samples[third : 2 * third]), np.ones(_QUIET), "same")
        cut = third + int(loudness.argmin())
        first, second, offset = [], [], 0
        for start, stop in self.spans:
            at = min(max(start, start + cut - offset), stop)
            first += [(start, at)] if at > start else []
            second += [(at, stop)] if stop > at else []
            offset += stop - start
        return [
            Piece(self.job, tuple(spans), samples, self.language)
            for spans, samples in ((first, self.samples[:cut]), (second, self.samples[cut:]))
        ]


def read_piece(job: Job, sound: Sound, spans: Spans, language: str | None) -> Piece:
    """The piece that lies in `spans` of the file."""
    return Piece(job, spans, np.concatenate([sound.read(start, stop) for start, stop in spans]), language)


@dataclass(frozen=True)
class Heard:
    """What was said in a piece; empty for nothing. The ids of the segments are not theirs yet."""

    segments: list[Segment]
    language: str | None = None
    language_probability: float | None = None


Outcome = Heard | list[Piece]
"""Of decoding a piece: its text, or the pieces to decode in its place, itself among them where it is tried again."""
