"""Requests as the gateway makes them, for engines that are called without a process around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asrpro_worker.audio import decode
from asrpro_worker.job import Job
from asrpro_worker.messages import Load, Model, Segment, Transcribe, WorkerMessage

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.engines.base import Engine, Facts, Recognition


def load(engine: Engine, path: Path, **settings: Any) -> Facts:
    """Load a model on the CPU with one thread."""
    name, quantization = settings.get("id", "toy"), settings.get("quantization")
    model = Model(name, str(path), quantization, settings.get("languages"))
    device, compute_type = settings.get("device", "cpu"), settings.get("compute_type", "auto")
    return engine.load(Load("r", model, device, compute_type, 1, 0), lambda _: None)


def job(sent: list[WorkerMessage] | None = None, **fields: Any) -> Job:
    """A plain job; what it sends goes to `sent`."""
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


def transcribe(engine: Engine, audio: Path, **fields: Any) -> tuple[Recognition, list[Segment]]:
    """One job from file to segments."""
    with decode(str(audio), lambda _: None) as pcm:
        recognition = engine.transcribe(job(**fields), pcm)
        return recognition, list(recognition.segments)
