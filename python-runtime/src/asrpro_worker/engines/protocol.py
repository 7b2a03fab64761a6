"""The interface between the worker and its engines."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asrpro_worker.messages import Capabilities, Load, ProbedDevice, WorkerMessage
    from asrpro_worker.piece import Outcome, Piece


def one_at_a_time() -> int:
    """The `in_flight` of an engine in this process: it decodes one batch at a time, on the main thread."""
    return 1


@dataclass(frozen=True)
class Facts:
    """The settings in use after loading. `threads`: in total; `batch`: most pieces in one call of `decode`.

    `in_flight`: how many calls of `decode` may run at the same time. A single one runs on the main thread, several run
    on their own threads.
    """

    device: str
    compute_type: str
    threads: int
    batch: int
    languages: list[str]
    capabilities: Capabilities
    in_flight: Callable[[], int] = one_at_a_time


class Engine(Protocol):
    """One engine with at most one model for the life of the process. `load` and `probe` run on the main thread."""

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """Load a model from local files and run one inference.

        Raises WorkerError: `model_broken` with the file and the remedy, `device_unavailable`, `out_of_memory`.
        """
        ...

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> Sequence[Outcome | Exception]:
        """The outcome of each piece, which must not depend on the other pieces in the list.

        The engine calls `alive` before each call into a native library, because such a call cannot be interrupted.
        `alive` tells the gateway that the jobs are alive, and raises JobCancelledError if all of them are cancelled.
        """
        ...

    def probe(self, device: str) -> ProbedDevice:
        """Test a device with a real inference; never raises."""
        ...


@runtime_checkable
class Remote(Protocol):
    """Additional methods of an engine whose model runs in other processes."""

    def report_to(self, send: Callable[[WorkerMessage], None]) -> None:
        """Called before `load` with the function that sends changes of the cluster to the gateway."""
        ...

    def unload(self) -> tuple[int, int]:
        """End the model's processes. Returns the bytes that they held before and the bytes that are still held."""
        ...


# Engine name to its module, whose `create()` returns the engine without a model.
_MODULES = {
    "faster-whisper": "asrpro_worker.engines.whisper.engine",
    "onnx-asr": "asrpro_worker.engines.onnx.engine",
    "parakeet-mlx": "asrpro_worker.engines.parakeet.engine",
    "nemo": "asrpro_worker.engines.nemo.engine",
    "ray": "asrpro_worker.engines.ray.engine",
}


def open_engine(name: str) -> Engine:
    """Import an engine. Raises ImportError if its packages are missing and KeyError for an unknown name."""
    return cast("Engine", importlib.import_module(_MODULES[name]).create())
