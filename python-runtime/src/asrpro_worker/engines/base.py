"""What an engine is to the rest of the worker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Capabilities, Load, ProbedDevice, Segment
    from asrpro_worker.pcm import Pcm


@dataclass(frozen=True)
class Facts:
    """What is in force after loading. `threads` in all; `concurrency` jobs run side by side."""

    device: str
    compute_type: str
    threads: int
    concurrency: int
    languages: list[str]
    capabilities: Capabilities


@dataclass(frozen=True)
class Recognition:
    """Text as it comes. `language` is ISO-639-1, known before the first segment, or None where the engine is silent."""

    language: str | None
    language_probability: float | None
    segments: Iterator[Segment]


class Engine(Protocol):
    """One engine with at most one model, for the life of the process."""

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """Load from local files only and run one inference.

        Raises WorkerError: `model_broken` with the file and the remedy, `device_unavailable`, `out_of_memory`.
        """
        ...

    def transcribe(self, job: Job, pcm: Pcm) -> Recognition:
        """Begin one job. Working and iterating call `job.progress` at least once for each window of 30 s."""
        ...

    def probe(self, device: str) -> ProbedDevice:
        """Run a real inference on a device; never raises."""
        ...


# Engine name to the module that implements it; each exports `create`.
_MODULES = {
    "faster-whisper": "asrpro_worker.engines.faster_whisper",
    "onnx-asr": "asrpro_worker.engines.onnx_asr",
    "nemo": "asrpro_worker.engines.nemo",
}


def open_engine(name: str) -> Engine:
    """Import an engine. Raises ImportError when its packages are missing, KeyError for a name that is none."""
    return cast("Engine", importlib.import_module(_MODULES[name]).create())
