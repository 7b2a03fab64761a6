"""What an engine is to the rest of the worker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.messages import Capabilities, Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece


@dataclass(frozen=True)
class Facts:
    """What is in force after loading. `threads` in all; `batch` pieces at most go into one `decode`."""

    device: str
    compute_type: str
    threads: int
    batch: int
    languages: list[str]
    capabilities: Capabilities


class Engine(Protocol):
    """One engine with at most one model, for the life of the process. All calls come from the main thread."""

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """Load from local files only and run one inference.

        Raises WorkerError: `model_broken` with the file and the remedy, `device_unavailable`, `out_of_memory`.
        """
        ...

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """The outcome of each piece; the others in the list make no difference to it.

        `alive` is called before each call into a native library, which nobody can interrupt: it tells the gateway that
        the jobs live, and raises JobCancelledError when nobody wants any of the pieces.
        """
        ...

    def probe(self, device: str) -> ProbedDevice:
        """Run a real inference on a device; never raises."""
        ...


# Engine name to the module that implements it; each exports `create`.
_MODULES = {
    "faster-whisper": "asrpro_worker.engines.whisper.engine",
    "onnx-asr": "asrpro_worker.engines.onnx.engine",
    "parakeet-mlx": "asrpro_worker.engines.parakeet.engine",
    "nemo": "asrpro_worker.engines.nemo.engine",
}


def open_engine(name: str) -> Engine:
    """Import an engine. Raises ImportError when its packages are missing, KeyError for a name that is none."""
    return cast("Engine", importlib.import_module(_MODULES[name]).create())
