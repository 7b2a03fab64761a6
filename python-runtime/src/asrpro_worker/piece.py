"""The unit of work: up to 30 s of one job's speech that an engine decodes at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.rumble import without_rumble
from asrpro_worker.speech import SPEECH
from asrpro_worker.vad_input import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from numpy.typing import NDArray

    from asrpro_worker.cuts import Cut
    from asrpro_worker.job import Job
    from asrpro_worker.messages import Segment
    from asrpro_worker.sound import Sound

# A piece is cut in the middle of its quietest tenth of a second.
_QUIET = RATE // 10
# This many windows of 32 ms without speech end an utterance.
_PAUSE = 8
# Samples in one frame of `Segment.seek`, 10 ms.
_SEEK_FRAME = RATE // 100


@dataclass(eq=False)
class Piece:
    """At most 30 s of speech. `samples` are the file's samples in `spans`, [start, stop) each, joined together.

    `speech` holds the probability of speech in each window of 32 ms. `language` is None if the engine has to detect
    it. `cuts` counts how often the piece was split after the file was cut. `attempt` belongs to the engine: the state
    of earlier attempts to decode this piece, of which `copy.copy` must make an independent copy.
    """

    job: Job
    spans: tuple[tuple[int, int], ...]
    samples: NDArray[np.float32]
    language: str | None
    speech: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    cuts: int = 0
    attempt: Any = field(default=None, repr=False)

    @property
    def start(self) -> float:
        """Start in the file, in seconds."""
        return self.spans[0][0] / RATE

    @property
    def end(self) -> float:
        """End in the file, in seconds."""
        return self.spans[-1][1] / RATE

    @property
    def seek(self) -> int:
        """Start in the file, in frames of 10 ms."""
        return self.spans[0][0] // _SEEK_FRAME

    @property
    def allowed_languages(self) -> tuple[str, ...]:
        """The language of the piece if it is known, else the candidates of the request; empty for any."""
        return (self.language,) if self.language else tuple(self.job.request.languages or ())

    def file_times(self, start: float, end: float) -> tuple[float, float]:
        """Two times in the piece as times in the file. Both lie in the span that holds their midpoint."""
        middle, offset = (start + end) / 2, 0.0
        for first, stop in self.spans:
            length = (stop - first) / RATE
            if middle < offset + length or stop == self.spans[-1][1]:
                break
            offset += length
        low, high = first / RATE, stop / RATE
        return tuple(min(max(low, low + moment - offset), high) for moment in (start, end))  # type: ignore[return-value]

    def spoken(self, start: float = 0.0, end: float = np.inf) -> float:
        """Seconds of speech between two times in the piece."""
        first, last = (int(min(moment * RATE / WINDOW, len(self.speech))) for moment in (start, end))
        return float((self.speech[first:last] >= SPEECH).sum()) * WINDOW / RATE

    def utterances(self) -> list[tuple[float, float]]:
        """Start and end of each stretch of speech between pauses, as times in the piece."""
        spoken = np.flatnonzero(self.speech >= SPEECH)
        groups = np.split(spoken, np.flatnonzero(np.diff(spoken) > _PAUSE) + 1) if len(spoken) else []
        return [(float(group[0] * WINDOW / RATE), float((group[-1] + 1) * WINDOW / RATE)) for group in groups]

    def halves(self) -> list[Piece]:
        """Split the piece in two at the quietest moment of its middle third."""
        third = len(self.samples) / RATE / 3
        return self.cut(third, 2 * third)

    def cut(self, start: float, end: float) -> list[Piece]:
        """Split the piece in two at the quietest moment between two times in the piece."""
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
            Piece(self.job, tuple(spans), samples, self.language, speech, self.cuts + 1)
            for spans, samples, speech in (
                (first, self.samples[:cut], self.speech[: cut // WINDOW]),
                (second, self.samples[cut:], self.speech[cut // WINDOW :]),
            )
            if spans
        ]


def read_piece(job: Job, sound: Sound, cut: Cut, language: str | None) -> Piece:
    """Read the samples of a cut."""
    samples = without_rumble(np.concatenate([sound.read(start, stop) for start, stop in cut.spans]))
    return Piece(job, cut.spans, samples, language, cut.speech)


def grouped(pieces: Iterable[Piece], key: Callable[[Piece], Hashable]) -> list[list[Piece]]:
    """The pieces in groups of equal keys: engines decode each group in one call."""
    groups: defaultdict[Hashable, list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[key(piece)].append(piece)
    return list(groups.values())


@dataclass(frozen=True)
class Heard:
    """The text of a piece; no segments if nothing was said. The ids of the segments are assigned later."""

    segments: list[Segment]
    language: str | None = None
    language_probability: float | None = None


Outcome = Heard | list[Piece]
"""The result of decoding a piece: its text, or the pieces to decode instead, such as the piece itself to retry."""
