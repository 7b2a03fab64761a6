"""Which devices onnxruntime can really use here."""

from __future__ import annotations

import numpy as np
import onnxruntime

from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice
from asrpro_worker.speech import vad_model

Providers = list[str | tuple[str, dict[str, object]]]

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"


def resolve(device: str) -> str:
    """The device id in force for `auto`, `cpu`, `cuda` or `cuda:N`. Raises `device_unavailable`.

    CoreML is left out: for int8 models it is three times slower than the CPU.
    """
    if device == "auto":
        return "cuda:0" if probe("cuda:0").usable else "cpu"
    if device == "cpu":
        return device
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index or "0").isdecimal():
        raise WorkerError("device_unavailable", f"onnx-asr has no device '{device}'; choose 'cpu' or 'cuda'.")
    if _CUDA not in onnxruntime.get_available_providers():
        raise WorkerError("device_unavailable", "The installed onnxruntime has no CUDA support; choose 'cpu'.")
    return f"cuda:{index or 0}"


def providers(device: str) -> Providers:
    """The providers to ask for; never the library's default, which prefers whatever is there."""
    if device == "cpu":
        return [_CPU]
    return [(_CUDA, {"device_id": int(device.partition(":")[2])}), _CPU]


def check_in_force(sessions: list[onnxruntime.InferenceSession], device: str) -> None:
    """Raise `device_unavailable` where onnxruntime fell back to the CPU, which it does without a word."""
    wanted = _CPU if device == "cpu" else _CUDA
    if any(session.get_providers()[0] != wanted for session in sessions):
        raise WorkerError("device_unavailable", f"onnxruntime cannot use '{device}' here; choose 'cpu'.")


def probe(device: str) -> ProbedDevice:
    """A real inference, of the VAD: a provider that is listed can still lack its libraries."""
    try:
        resolved = resolve(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(vad_model(), sess_options=options, providers=providers(resolved))
        check_in_force([session], resolved)
        state = np.zeros((1, 1, 128), np.float32)
        session.run(None, {"input": np.zeros((1, 576), np.float32), "h": state, "c": state})
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the reason
        reason = f"onnxruntime cannot use it ({type(error).__name__})."
        return ProbedDevice(device, usable=False, compute_types=[], reason=reason)
    return ProbedDevice(device, usable=True, compute_types=["float32", "int8"], reason=None)
