"""Which devices PyTorch can really use here."""

from __future__ import annotations

import torch

from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice


def resolve(device: str) -> str:
    """The device id in force for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. Raises `device_unavailable`."""
    if device == "auto":
        return next((kind for kind in ("cuda:0", "mps") if probe(kind).usable), "cpu")
    if device in ("cpu", "mps"):
        if device == "mps" and not torch.backends.mps.is_available():
            raise WorkerError("device_unavailable", "PyTorch finds no Apple GPU here; choose 'cpu'.")
        return device
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index or "0").isdecimal():
        raise WorkerError("device_unavailable", f"NeMo has no device '{device}'; choose 'cpu', 'cuda' or 'mps'.")
    if torch.version.cuda is None:
        remedy = "Install the engine again on a machine with an NVIDIA driver, or choose 'cpu'."
        raise WorkerError("device_unavailable", f"The installed PyTorch is a build without CUDA. {remedy}")
    if not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count():
        raise WorkerError("device_unavailable", f"PyTorch finds no '{device}' here; choose 'cpu'.")
    return f"cuda:{index or 0}"


def check_compute_type(asked: str) -> str:
    """The compute type in force. Half precision is not offered: what NeMo's decoders make of it was never measured."""
    if asked in ("auto", "default", "float32"):
        return "float32"
    message = f"NeMo runs models as float32, not as {asked}. Choose the compute type 'auto'."
    raise WorkerError("device_unavailable", message)


def probe(device: str) -> ProbedDevice:
    """A real inference, of the kinds of layers that the models have; its result is copied back."""
    try:
        place = torch.device(resolve(device))
        with torch.inference_mode():
            sound = torch.zeros(1, 80, 100, device=place)
            frames = torch.nn.Conv1d(80, 32, 9, stride=8).to(place)(sound).transpose(1, 2)
            state, _ = torch.nn.LSTM(32, 32, batch_first=True).to(place)(frames)
            (state @ state.transpose(1, 2)).softmax(-1).cpu()
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the reason
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ProbedDevice(device, usable=False, compute_types=[], reason=f"PyTorch cannot use it: {text}")
    return ProbedDevice(device, usable=True, compute_types=["float32"], reason=None)
