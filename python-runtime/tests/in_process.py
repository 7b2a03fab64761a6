"""Requests like the gateway's, for engines that run in the process of the test."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asrpro_worker.batcher import Batcher
from asrpro_worker.decoding import Decoding
from asrpro_worker.job import Job
from asrpro_worker.messages import Load, Model, Result, Segment, SegmentReady, Transcribe, WorkerMessage
from asrpro_worker.refusal import refuse
from asrpro_worker.transcribe import transcribe as run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrpro_worker.engines.protocol import Engine, Facts
    from asrpro_worker.sound import Sound

_facts: dict[int, Facts] = {}


def load(engine: Engine, path: Path, **settings: Any) -> Facts:
    """Load a model on the CPU with one thread."""
    name, quantization = settings.get("id", "toy"), settings.get("quantization")
    model = Model(name, str(path), quantization, settings.get("languages"))
    device, compute_type = settings.get("device", "cpu"), settings.get("compute_type", "auto")
    threads, concurrency = settings.get("threads", 1), settings.get("concurrency", 0)
    facts = engine.load(Load("r", model, device, compute_type, threads, concurrency), lambda _: None)
    _facts[id(engine)] = facts
    return facts


def job(sent: list[WorkerMessage] | None = None, **fields: Any) -> Job:
    """A job with default fields; `sent` receives its messages."""
    request: dict[str, Any] = {
        "job": "job-1",
        "audio": "",
        "task": "transcribe",
        "language": None,
        "prompt": None,
        "temperature": None,
        "beam_size": None,
        "hotwords": [],
        "word_timestamps": False,
        "logprobs": False,
        "vad_filter": False,
    }
    return Job(Transcribe(**{**request, **fields}), (sent if sent is not None else []).append)


def transcribe(
    engine: Engine, audio: Path, batcher: Batcher | None = None, **fields: Any
) -> tuple[Result, list[Segment]]:
    """Run one job on a file, on `batcher` or on its own one."""
    with Decoding(str(audio), lambda: None) as sound:
        return hear(engine, sound, job(**fields), batcher)


def hear(engine: Engine, sound: Sound, running: Job, batcher: Batcher | None = None) -> tuple[Result, list[Segment]]:
    """Run one job on a sound, with an engine that was loaded by `load`."""
    facts = _facts[id(engine)]
    refuse(running.request, facts.capabilities, facts.languages)
    if batcher is None:
        with at_work(engine, facts.batch) as alone:
            return hear(engine, sound, running, alone)
    batcher.join(running)
    try:
        *messages, result = run(batcher, facts, running, sound)
    finally:
        batcher.leave(running)
    assert isinstance(result, Result)
    return result, [message.segment for message in messages if isinstance(message, SegmentReady)]


@contextmanager
def at_work(engine: Engine, size: int) -> Iterator[Batcher]:
    """A batcher with a thread that works until the block ends."""
    woken: queue.SimpleQueue[str] = queue.SimpleQueue()
    batcher = Batcher(engine, size, lambda: woken.put("work"), _facts[id(engine)].in_flight)

    def work() -> None:
        while woken.get():
            batcher.work()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield batcher
    finally:
        woken.put("")
        thread.join()
