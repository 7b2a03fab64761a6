"""Devices for Whisper on this machine: those of CTranslate2, and a Mac's GPU through MLX."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import ctranslate2
import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu
from asrpro_worker.engines.device_probe import cuda_index, first_line, probed
from asrpro_worker.engines.whisper import mlx_devices
from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import ProbedDevice

# Preferred compute types for `auto`, the best first.
_PREFERRED = {"cpu": ("int8", "int8_float32", "float32"), "cuda": ("float16", "int8_float16", "int8", "float32")}


def resolve(device: str) -> str:
    """The device to use for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. Raises `device_unavailable`."""
    if device == "auto":
        return next((gpu for gpu in ("cuda:0", "mps") if probe(gpu).usable), "cpu")
    if device == "mps":
        require_gpu()
        return device
    if device == "cpu":
        return device
    if (index := cuda_index(device)) is not None:
        return f"cuda:{index}"
    raise WorkerError("device_unavailable", f"Whisper has no device '{device}'; choose 'cpu', 'cuda' or 'mps'.")


def resolve_compute_type(device: str, requested: str) -> str:
    """The compute type to use. CTranslate2 itself rejects types that the device does not support."""
    if device == "mps":
        return mlx_devices.resolve_compute_type(requested)
    if requested != "auto":
        return requested
    supported = _compute_types(device)
    return next((kind for kind in _PREFERRED[device.partition(":")[0]] if kind in supported), "float32")


def probe(device: str) -> ProbedDevice:
    """Run an inference: a missing cuBLAS causes an error at its first use only."""
    if device == "mps":
        return mlx_devices.probe(device)
    return probed(device, lambda: _encode_on(resolve(device)), _reason)


def _compute_types(device: str) -> list[str]:
    return sorted(ctranslate2.get_supported_compute_types(device.partition(":")[0], cuda_index(device) or 0))


def _encode_on(device: str) -> list[str]:
    """Encode silence with a model of random weights. Returns the compute types of the device."""
    compute_types = _compute_types(device)
    with tempfile.TemporaryDirectory() as directory:
        write_tiny_whisper(Path(directory), ["", *special_tokens(["en"])], ["en"])
        kind, index = device.partition(":")[0], cuda_index(device) or 0
        model = ctranslate2.models.Whisper(directory, device=kind, device_index=index, intra_threads=1)
        features = ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 3000), np.float32))
        # Copying to the CPU waits for the GPU, where errors show up only during execution.
        model.encode(features, to_cpu=True)
    return compute_types


def _reason(error: Exception) -> str:
    text = first_line(error)
    if "cublas" in text.lower():
        if sys.platform == "win32":
            return f"{text}. Install NVIDIA's CUDA 12."
        return f"{text}. Run `asrpro setup core` or POST /v1/engines/core/install to install it."
    return f"CTranslate2 cannot use it: {text}."
