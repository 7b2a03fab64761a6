"""The pipeline of one job: cut the sound into pieces, have them decoded, and turn the results into messages."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from asrpro_worker.cuts import pieces
from asrpro_worker.messages import Result, SegmentReady, Started
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard, read_piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.batcher import Batcher
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.job import Job
    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.piece import Piece
    from asrpro_worker.sound import Sound


# Files of at most so many samples are decoded completely before they count as started.
_SHORT = 30 * RATE


def transcribe(batcher: Batcher, facts: Facts, job: Job, sound: Sound) -> Iterator[WorkerMessage]:
    """Yield the messages of one job: `started`, the segments and the result. The job must have joined the batcher.

    Pieces are cut and submitted one batch ahead of the engine. If the language is unknown, the first piece with text
    determines it for the following pieces, and the result reports the language with the most speech. Segments are
    yielded in the order of the file, as soon as all earlier ones have been yielded.
    """
    request = job.request
    with job.timed("decode"):
        duration = None if sound.reaches(_SHORT) else sound.duration
    yield Started(request.job, duration)
    language = request.language or _only_language(facts, request.languages)
    detects = language is None and facts.capabilities.detects_language
    seconds_of: defaultdict[str, float] = defaultdict(float)
    probabilities: dict[str | None, float | None] = {}
    cuts = pieces(sound, lambda _: batcher.check(job), whole=not request.vad_filter)
    # Pieces without a yielded text, in the order of the file.
    waiting: list[Piece] = []
    heard: dict[Piece, Heard] = {}
    numbers = itertools.count()
    while True:
        ahead = 1 if detects and language is None else batcher.ahead
        with job.timed("vad"):
            for cut in itertools.islice(cuts, max(0, ahead - len(waiting))):
                waiting.append(read_piece(job, sound, cut, language))
                batcher.submit(waiting[-1])
        if not waiting:
            break
        with job.timed("engine"):
            piece, outcome = job.outcome()
        if isinstance(outcome, list):
            at = waiting.index(piece)
            waiting[at : at + 1] = outcome
            for part in reversed(outcome):
                batcher.submit(part, first=True)
            continue
        heard[piece] = outcome
        if detects and language is None and outcome.segments:
            language = outcome.language
        while waiting and waiting[0] in heard:
            first = waiting.pop(0)
            text = heard.pop(first)
            if detects and text.language and text.segments:
                seconds_of[text.language] += first.spoken()
                probabilities.setdefault(text.language, text.language_probability)
            for segment in text.segments:
                yield SegmentReady(request.job, replace(segment, id=next(numbers)))
            job.progress(first.end)
    language = max(seconds_of, key=seconds_of.__getitem__, default=language)
    yield Result(request.job, language, probabilities.get(language), sound.duration, 0, job.timings)


def _only_language(facts: Facts, allowed: list[str] | None) -> str | None:
    """The language, if the model and the request together leave exactly one."""
    known = [code for code in facts.languages if code in (allowed or facts.languages)] or facts.languages
    return known[0] if len(known) == 1 else None
