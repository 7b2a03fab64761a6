"""Which devices Whisper can really use here: those of CTranslate2, and through MLX the GPU of a Mac."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu
from asrpro_worker.engines.whisper import mlx_devices
from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper
from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice

# Best first, of those that the device supports.
_PREFERRED = {"cpu": ("int8", "int8_float32", "float32"), "cuda": ("float16", "int8_float16", "int8", "float32")}


def resolve(device: str) -> str:
    """The device id in force for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. Raises `device_unavailable`."""
    if device == "auto":
        return next((gpu for gpu in ("cuda:0", "mps") if probe(gpu).usable), "cpu")
    if device == "mps":
        require_gpu()
        return device
    if device == "cpu":
        return device
    kind, _, index = device.partition(":")
    if kind == "cuda" and (index or "0").isdecimal():
        return f"cuda:{index or 0}"
    raise WorkerError("device_unavailable", f"Whisper has no device '{device}'; choose 'cpu', 'cuda' or 'mps'.")


def resolve_compute_type(device: str, asked: str) -> str:
    """The compute type for `auto`; anything else is kept, and refused where it cannot be had."""
    if device == "mps":
        return mlx_devices.resolve_compute_type(asked)
    if asked != "auto":
        return asked
    supported = _compute_types(device)
    return next((kind for kind in _PREFERRED[device.partition(":")[0]] if kind in supported), "float32")


def probe(device: str) -> ProbedDevice:
    """A real inference: a GPU that is seen can still lack cuBLAS, which fails at first use only."""
    if device == "mps":
        return mlx_devices.probe(device)
    try:
        compute_types = _compute_types(resolve(device))
        _encode_something(resolve(device))
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the reason
        return ProbedDevice(device, usable=False, compute_types=[], reason=_reason(error))
    return ProbedDevice(device, usable=True, compute_types=compute_types, reason=None)


def _compute_types(device: str) -> list[str]:
    kind, _, index = device.partition(":")
    return sorted(ctranslate2.get_supported_compute_types(kind, int(index or 0)))


def _encode_something(device: str) -> None:
    """One second of nothing through a model of random weights."""
    kind, _, index = device.partition(":")
    with tempfile.TemporaryDirectory() as directory:
        write_tiny_whisper(Path(directory), ["", *special_tokens(["en"])], ["en"])
        model = ctranslate2.models.Whisper(directory, device=kind, device_index=int(index or 0), intra_threads=1)
        features = ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 3000), np.float32))
        # copied to the CPU: what has been only queued on the GPU has not failed yet
        model.encode(features, to_cpu=True)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "cublas" in text.lower():
        if sys.platform == "win32":
            return f"{text}. Install NVIDIA's CUDA 12."
        return f"{text}. Run `asrpro setup core` or POST /v1/engines/core/install to install it."
    return f"CTranslate2 cannot use it: {text}."
