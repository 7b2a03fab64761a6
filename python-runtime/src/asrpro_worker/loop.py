"""Handles the gateway's messages in order and answers each exactly once."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from asrpro_worker.batcher import Batcher
from asrpro_worker.engines.protocol import Remote
from asrpro_worker.errors import JobCancelledError, WorkerError, as_worker_error
from asrpro_worker.job import Job
from asrpro_worker.memory import resident_bytes, return_unused
from asrpro_worker.messages import (
    Cancel,
    Cancelled,
    Devices,
    Failure,
    Load,
    Loaded,
    Loading,
    Probe,
    Result,
    Transcribe,
    Unload,
    Unloaded,
)
from asrpro_worker.read_ahead import read_ahead
from asrpro_worker.refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.protocol import Engine, Facts
    from asrpro_worker.messages import GatewayMessage, WorkerMessage

log = logging.getLogger(__name__)

# An idle worker returns free memory to the system after a file of at least this many seconds, or when it has grown by
# this many bytes since the model was loaded: after short files with keywords, whisper-base once held 818 MB.
# Keeping less than that makes the next request faster.
_LONG_FILE_SECONDS = 60.0
_MAX_UNUSED_BYTES = 300_000_000
# With more than one thread, at least this many jobs share the engine: a short file need not wait for a long one, and
# the next batch is cut while the engine decodes the current one.
_MIN_JOBS = 4
# Upper limit for a cluster of many machines: each job holds a thread and two open files in this process.
_MAX_JOBS = 256


class Loop:
    """Runs the engine on the thread that calls `run`, which must be the main thread for NeMo.

    Each job has its own thread, which decodes the file, cuts it into pieces and answers. `receive` may be called from
    any thread and never blocks. `open_engine` is called once, before the first message is handled, so that the engine's
    import overlaps with the end of the previous worker.
    """

    def __init__(self, open_engine: Callable[[], Engine], send: Callable[[WorkerMessage], None]) -> None:
        self._open_engine = open_engine
        self._send = send
        # None means that pieces may be waiting in the batcher.
        self._inbox: queue.SimpleQueue[Load | Probe | Unload | Job | None] = queue.SimpleQueue()
        self._jobs: dict[str, Job] = {}
        self._engine: Engine | None = None
        self._import_seconds = 0.0
        self._loaded_bytes = 0
        self._facts: Facts | None = None
        self._batcher: Batcher | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")

    def receive(self, message: GatewayMessage) -> None:
        """Queue a message. `cancel` and `unload` also reach running jobs at once."""
        if isinstance(message, Cancel):
            if job := self._jobs.get(message.job):
                job.cancel()
            return
        if isinstance(message, Transcribe):
            job = self._jobs[message.job] = Job(message, self._send)
            self._inbox.put(job)
            return
        if isinstance(message, Load):
            read_ahead(message.model.path)
        if isinstance(message, Unload):
            for job in list(self._jobs.values()):
                job.cancel()
        self._inbox.put(message)

    def run(self) -> None:
        """Work until `unload` is answered."""
        self._import_engine()
        while True:
            item = self._inbox.get()
            if isinstance(item, Unload):
                self._unload(item)
                return
            if isinstance(item, Job):
                self._start_job(item)
            elif item is not None:
                self._answer(item)
            elif self._batcher:
                self._batcher.work()

    def _import_engine(self) -> None:
        start = time.monotonic()
        try:
            self._engine = self._open_engine()
            if isinstance(self._engine, Remote):
                self._engine.report_to(self._send)
        except Exception:
            log.exception("The engine cannot be imported")
        self._import_seconds = time.monotonic() - start

    def _answer(self, message: Load | Probe) -> None:
        try:
            self._send(self._load(message) if isinstance(message, Load) else self._probe(message))
        except Exception as error:  # noqa: BLE001 - _failure logs it
            fallback = WorkerError("model_load_failed", f"Loading the model failed ({type(error).__name__}).")
            self._send(_failure(message.request, error, fallback))

    def _load(self, message: Load) -> Loaded:
        if self._facts:
            raise WorkerError("model_load_failed", "This worker has already loaded a model.")
        engine = self._require_engine()
        start = time.monotonic()
        self._send(Loading(message.request, "import"))
        # Runs while the engine reads the weights, which happens in native code.
        preparing = threading.Thread(target=_prepare, name="prepare")
        preparing.start()
        facts = self._facts = engine.load(message, lambda phase: self._send(Loading(message.request, phase)))
        preparing.join()
        self._batcher = Batcher(engine, facts.batch, lambda: self._inbox.put(None), facts.in_flight)
        jobs = message.concurrency or self._concurrency(facts)
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="job")
        return_unused()
        self._loaded_bytes = resident_bytes()
        return Loaded(
            request=message.request,
            device=facts.device,
            compute_type=facts.compute_type,
            threads=facts.threads,
            concurrency=jobs,
            languages=facts.languages,
            capabilities=facts.capabilities,
            memory_bytes=self._loaded_bytes,
            seconds=self._import_seconds + time.monotonic() - start,
        )

    def _concurrency(self, facts: Facts) -> int:
        """How many jobs run at the same time."""
        if facts.threads == 1 and facts.in_flight() == 1:
            return 1
        return min(_MAX_JOBS, max(2 * facts.batch * facts.in_flight(), _MIN_JOBS))

    def _probe(self, message: Probe) -> Devices:
        engine = self._require_engine()
        return Devices(message.request, [engine.probe(device) for device in message.devices])

    def _start_job(self, job: Job) -> None:
        if self._batcher:
            self._batcher.join(job)
        self._pool.submit(self._work, job)

    def _work(self, job: Job) -> None:
        outcome = self._outcome(job)
        # Before the answer: once the gateway has it, it may reuse the job's id.
        self._jobs.pop(job.request.job, None)
        self._send(outcome)
        if self._jobs:
            return
        was_long = isinstance(outcome, Result) and outcome.duration >= _LONG_FILE_SECONDS
        if was_long or resident_bytes() - self._loaded_bytes > _MAX_UNUSED_BYTES:
            return_unused()

    def _outcome(self, job: Job) -> Result | Cancelled | Failure:
        try:
            return self._transcribe(job)
        except JobCancelledError:
            return Cancelled(job.request.job)
        except Exception as error:  # noqa: BLE001 - _failure logs it
            return _failure(job.request.job, error)

    def _transcribe(self, job: Job) -> Result:
        # Imported here because numpy and PyAV would delay `hello`.
        from asrpro_worker.decoding import Decoding
        from asrpro_worker.transcribe import transcribe

        batcher = self._batcher
        if batcher is None or self._facts is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        try:
            refuse(job.request, self._facts.capabilities, self._facts.languages)
            job.check()
            with Decoding(job.request.audio, lambda: batcher.check(job)) as sound:
                for message in transcribe(batcher, self._facts, job, sound):
                    if isinstance(message, Result):
                        return replace(message, skipped_packets=sound.skipped_packets)
                    self._send(message)
        finally:
            batcher.leave(job)
        raise AssertionError("transcribe() ended without a result")

    def _require_engine(self) -> Engine:
        if self._engine is None:
            raise WorkerError("engine_broken", "The engine cannot be imported; install it again.")
        return self._engine

    def _unload(self, message: Unload) -> None:
        self._pool.shutdown(wait=True)
        before = resident_bytes()
        remote_before, remote_after = self._engine.unload() if isinstance(self._engine, Remote) else (0, 0)
        self._engine = self._batcher = None
        gc.collect()
        self._send(Unloaded(message.request, before + remote_before, resident_bytes() + remote_after))


def _failure(subject: str, error: Exception, fallback: WorkerError | None = None) -> Failure:
    """The answer for an error. `fallback` replaces the general answer to an unknown exception, which is logged."""
    answer = as_worker_error(error)
    if answer.code == "internal_error":
        log.error("%s failed", subject, exc_info=error)
        answer = fallback or answer
    return Failure(subject, answer.code, answer.message, answer.param)


def _prepare() -> None:
    """Import what the first job needs: PyAV, onnxruntime and the VAD."""
    import asrpro_worker.decoding
    import asrpro_worker.transcribe  # noqa: F401
    from asrpro_worker.speech import preload

    preload()
