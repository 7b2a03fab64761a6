"""The unit of work: speech of one job that an engine hears in one go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.speech import SPEECH, WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.cuts import Cut
    from asrpro_worker.job import Job
    from asrpro_worker.messages import Segment
    from asrpro_worker.sound import Sound

# A cut inside of a piece falls where a tenth of a second is the quietest.
_QUIET = RATE // 10
# Windows of 32 ms without speech that end an utterance.
_PAUSE = 8


@dataclass(eq=False)
class Piece:
    """At most 30 s of speech: `samples` are those of the file in `spans`, [start, stop) each, one after the other.

    `likely` is the probability of speech in each window of 32 ms of them. `language` is None where the engine has to
    find it. `cuts`: how often it was cut in two since the file was cut into pieces. `attempt` belongs to the engine:
    what it knows of a piece that it has tried in vain and wants to try again.
    """

    job: Job
    spans: tuple[tuple[int, int], ...]
    samples: NDArray[np.float32]
    language: str | None
    likely: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    cuts: int = 0
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

    def spoken(self, start: float = 0.0, end: float = np.inf) -> float:
        """Seconds of speech between two moments of the piece."""
        first, last = (int(min(moment * RATE / WINDOW, len(self.likely))) for moment in (start, end))
        return float((self.likely[first:last] >= SPEECH).sum()) * WINDOW / RATE

    def utterances(self) -> list[tuple[float, float]]:
        """Stretches of speech with pauses between them, as moments of the piece."""
        spoken = np.flatnonzero(self.likely >= SPEECH)
        groups = np.split(spoken, np.flatnonzero(np.diff(spoken) > _PAUSE) + 1) if len(spoken) else []
        return [(float(group[0] * WINDOW / RATE), float((group[-1] + 1) * WINDOW / RATE)) for group in groups]

    def halves(self) -> list[Piece]:
        """Two pieces, cut in the quietest place of the middle third."""
        third = len(self.samples) / RATE / 3
        return self.cut(third, 2 * third)

    def cut(self, start: float, end: float) -> list[Piece]:
        """Two pieces, cut in the quietest place between two moments of the piece."""
        low, high = int(start * RATE), max(int(start * RATE) + 1, int(end * RATE))
        loudness = np.convolve(np.abs(self.samples[low:high]), np.ones(_QUIET), "same")
        cut = (low + int(loudness.argmin())) // WINDOW * WINDOW
        first, second, offset = [], [], 0
        for begin, stop in self.spans:
            at = min(max(begin, begin + cut - offset), stop)
            first += [(begin, at)] if at > begin else []
            second += [(at, stop)] if stop > at else []
            offset += stop - begin
        return [
            Piece(self.job, tuple(spans), samples, self.language, likely, self.cuts + 1)
            for spans, samples, likely in (
                (first, self.samples[:cut], self.likely[: cut // WINDOW]),
                (second, self.samples[cut:], self.likely[cut // WINDOW :]),
            )
            if spans
        ]


def read_piece(job: Job, sound: Sound, cut: Cut, language: str | None) -> Piece:
    """The piece of a file."""
    samples = np.concatenate([sound.read(start, stop) for start, stop in cut.spans])
    return Piece(job, cut.spans, samples, language, cut.likely)


@dataclass(frozen=True)
class Heard:
    """What was said in a piece; empty for nothing. The ids of the segments are not theirs yet."""

    segments: list[Segment]
    language: str | None = None
    language_probability: float | None = None


Outcome = Heard | list[Piece]
"""Of decoding a piece: its text, or the pieces to decode in its place, itself among them where it is tried again."""
