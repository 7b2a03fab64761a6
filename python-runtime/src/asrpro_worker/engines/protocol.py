"""What an engine is to the rest of the worker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asrpro_worker.messages import Capabilities, Load, ProbedDevice, WorkerMessage
    from asrpro_worker.piece import Outcome, Piece


def one_at_a_time() -> int:
    """An engine of this process decodes one batch after the other, on the main thread."""
    return 1


@dataclass(frozen=True)
class Facts:
    """What is in force after loading. `threads` in all; `batch` pieces at most go into one `decode`.

    `in_flight`: calls of `decode` that may run at a time. If one, it runs on the main thread, else each on its own.
    """

    device: str
    compute_type: str
    threads: int
    batch: int
    languages: list[str]
    capabilities: Capabilities
    in_flight: Callable[[], int] = one_at_a_time


class Engine(Protocol):
    """One engine with at most one model, for the life of the process. `load` and `probe` come from the main thread."""

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """Load from local files only and run one inference.

        Raises WorkerError: `model_broken` with the file and the remedy, `device_unavailable`, `out_of_memory`.
        """
        ...

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> Sequence[Outcome | Exception]:
        """The outcome of each piece; the others in the list make no difference to it.

        `alive` is called before each call into a native library, which nobody can interrupt: it tells the gateway that
        the jobs live, and raises JobCancelledError when nobody wants any of the pieces.
        """
        ...

    def probe(self, device: str) -> ProbedDevice:
        """Run a real inference on a device; never raises."""
        ...


@runtime_checkable
class Remote(Protocol):
    """What an engine has besides, whose model lives in other processes than this."""

    def report_to(self, send: Callable[[WorkerMessage], None]) -> None:
        """Called before `load`: where to say what becomes of the cluster."""
        ...

    def unload(self) -> tuple[int, int]:
        """End the model's processes. Bytes that they held before, and that are held still."""
        ...


# Engine name to the module that implements it; each exports `create`.
_MODULES = {
    "faster-whisper": "asrpro_worker.engines.whisper.engine",
    "onnx-asr": "asrpro_worker.engines.onnx.engine",
    "parakeet-mlx": "asrpro_worker.engines.parakeet.engine",
    "nemo": "asrpro_worker.engines.nemo.engine",
    "ray": "asrpro_worker.engines.ray.engine",
}


def open_engine(name: str) -> Engine:
    """Import an engine. Raises ImportError when its packages are missing, KeyError for a name that is none."""
    return cast("Engine", importlib.import_module(_MODULES[name]).create())
