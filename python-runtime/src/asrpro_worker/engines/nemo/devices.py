"""Devices for PyTorch on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from asrpro_worker.engines.device_probe import cuda_index, first_line, probed
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import ProbedDevice


def resolve(device: str) -> str:
    """The device to use for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. Raises `device_unavailable`."""
    if device == "auto":
        return next((kind for kind in ("cuda:0", "mps") if probe(kind).usable), "cpu")
    if device in ("cpu", "mps"):
        if device == "mps" and not torch.backends.mps.is_available():
            raise WorkerError("device_unavailable", "PyTorch finds no Apple GPU here; choose 'cpu'.")
        return device
    index = cuda_index(device)
    if index is None:
        raise WorkerError("device_unavailable", f"NeMo has no device '{device}'; choose 'cpu', 'cuda' or 'mps'.")
    if torch.version.cuda is None:
        remedy = "Install the engine again on a machine with an NVIDIA driver, or choose 'cpu'."
        raise WorkerError("device_unavailable", f"The installed PyTorch is a build without CUDA. {remedy}")
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise WorkerError("device_unavailable", f"PyTorch finds no '{device}' here; choose 'cpu'.")
    return f"cuda:{index}"


def check_compute_type(requested: str) -> str:
    """The compute type to use. Half precision is not offered, because its accuracy with NeMo was never measured."""
    if requested in ("auto", "default", "float32"):
        return "float32"
    message = f"NeMo runs models as float32, not as {requested}. Choose the compute type 'auto'."
    raise WorkerError("device_unavailable", message)


def probe(device: str) -> ProbedDevice:
    """Run the kinds of layers that the models have, and copy the result back."""
    return probed(
        device, lambda: _run_layers_on(resolve(device)), lambda error: f"PyTorch cannot use it: {first_line(error)}"
    )


def _run_layers_on(device: str) -> list[str]:
    target = torch.device(device)
    with torch.inference_mode():
        sound = torch.zeros(1, 80, 100, device=target)
        frames = torch.nn.Conv1d(80, 32, 9, stride=8).to(target)(sound).transpose(1, 2)
        state, _ = torch.nn.LSTM(32, 32, batch_first=True).to(target)(frames)
        (state @ state.transpose(1, 2)).softmax(-1).cpu()
    return ["float32"]
