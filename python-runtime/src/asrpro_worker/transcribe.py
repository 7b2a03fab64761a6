"""The way of one job: from sound to pieces, from what was heard in them to messages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from asrpro_worker.cuts import pieces
from asrpro_worker.messages import Result, SegmentReady, Started
from asrpro_worker.piece import Heard, read_piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.batcher import Batcher
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.job import Job
    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.piece import Piece
    from asrpro_worker.sound import Sound


def transcribe(batcher: Batcher, facts: Facts, job: Job, sound: Sound) -> Iterator[WorkerMessage]:
    """Everything that the gateway hears of a job that has joined and of its sound, up to the result.

    Pieces are cut and submitted a batch ahead of the engine. Where the language is not known, the first piece finds it
    for all. Segments come in the order of the file, as soon as all before them are there.
    """
    request = job.request
    yield Started(request.job, sound.duration)
    language = request.language or (facts.languages[0] if len(facts.languages) == 1 else None)
    finds = language is None and facts.capabilities.detects_language
    probability: float | None = None
    spans = pieces(sound, lambda _: job.check(), whole=not request.vad_filter)
    waiting: list[Piece] = []
    heard: dict[Piece, Heard] = {}
    numbers = itertools.count()
    while True:
        room = 1 if finds and language is None else batcher.ahead
        with job.timed("vad"):
            for span in itertools.islice(spans, max(0, room - len(waiting))):
                waiting.append(read_piece(job, sound, span, language))
                batcher.submit(waiting[-1])
        if not waiting:
            break
        with job.timed("engine"):
            piece, outcome = job.outcome()
        if isinstance(outcome, list):
            at = waiting.index(piece)
            waiting[at : at + 1] = outcome
            for again in reversed(outcome):
                batcher.submit(again, first=True)
            continue
        heard[piece] = outcome
        if finds and language is None:
            language, probability = outcome.language, outcome.language_probability
        while waiting and waiting[0] in heard:
            first = waiting.pop(0)
            for segment in heard.pop(first).segments:
                yield SegmentReady(request.job, replace(segment, id=next(numbers)))
            job.progress(first.end)
    yield Result(request.job, language, probability, sound.duration, 0, job.timings)
