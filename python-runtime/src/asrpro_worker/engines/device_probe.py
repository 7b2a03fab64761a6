"""What the engines share when they test a device with a real inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def probed(device: str, infer: Callable[[], Iterable[str]], explain: Callable[[Exception], str]) -> ProbedDevice:
    """Test a device. `infer` runs an inference and returns the compute types; `explain` says why it failed."""
    try:
        return ProbedDevice(device, usable=True, compute_types=list(infer()), reason=None)
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        return ProbedDevice(device, usable=False, compute_types=[], reason=explain(error))


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type if it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def cuda_index(device: str) -> int | None:
    """The index of an NVIDIA GPU: 0 for `cuda`, N for `cuda:N`, None for any other device."""
    kind, _, index = device.partition(":")
    return int(index or 0) if kind == "cuda" and (index or "0").isdecimal() else None
