"""Devices for onnxruntime on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from asrpro_worker.engines.device_probe import cuda_index, probed
from asrpro_worker.errors import WorkerError
from asrpro_worker.speech import vad_model

if TYPE_CHECKING:
    from asrpro_worker.messages import ProbedDevice

Providers = list[str | tuple[str, dict[str, object]]]

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"


def resolve(device: str) -> str:
    """The device to use for `auto`, `cpu`, `cuda` or `cuda:N`. Raises `device_unavailable`.

    CoreML is not offered because it runs int8 models three times slower than the CPU.
    """
    if device == "auto":
        return "cuda:0" if probe("cuda:0").usable else "cpu"
    if device == "cpu":
        return device
    index = cuda_index(device)
    if index is None:
        raise WorkerError("device_unavailable", f"onnx-asr has no device '{device}'; choose 'cpu' or 'cuda'.")
    if _CUDA not in onnxruntime.get_available_providers():
        raise WorkerError("device_unavailable", "The installed onnxruntime has no CUDA support; choose 'cpu'.")
    return f"cuda:{index}"


def providers(device: str) -> Providers:
    """The providers for a device. The library's default would use any provider that is installed."""
    if device == "cpu":
        return [_CPU]
    return [(_CUDA, {"device_id": cuda_index(device)}), _CPU]


def check_in_force(sessions: list[onnxruntime.InferenceSession], device: str) -> None:
    """Raise `device_unavailable` if onnxruntime fell back to the CPU, which it does silently."""
    expected = _CPU if device == "cpu" else _CUDA
    if any(session.get_providers()[0] != expected for session in sessions):
        raise WorkerError("device_unavailable", f"onnxruntime cannot use '{device}' here; choose 'cpu'.")


def probe(device: str) -> ProbedDevice:
    """Run the VAD: a provider that is listed can still lack its libraries."""
    return probed(
        device,
        lambda: _run_vad_on(resolve(device)),
        lambda error: f"onnxruntime cannot use it ({type(error).__name__}).",
    )


def _run_vad_on(device: str) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(vad_model(), sess_options=options, providers=providers(device))
    check_in_force([session], device)
    state = np.zeros((1, 1, 128), np.float32)
    session.run(None, {"input": np.zeros((1, 576), np.float32), "h": state, "c": state})
    return ["float32", "int8"]
