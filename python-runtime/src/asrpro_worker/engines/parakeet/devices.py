"""Which devices MLX can really use here. Imports MLX only where it is asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu, require_mlx
from asrpro_worker.engines.parakeet.files import check_directory
from asrpro_worker.engines.parakeet.tiny import write_tiny_parakeet
from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice
from asrpro_worker.pcm import RATE

# Best first. bfloat16 has the range of float32, for which these models were trained.
COMPUTE_TYPES = {"mps": ("bfloat16", "float16", "float32"), "cpu": ("float32",)}


def resolve(device: str) -> str:
    """The device in force for `auto`, `mps` or `cpu`, which MLX uses from then on. Raises `device_unavailable`."""
    require_mlx()
    if device == "auto":
        device = "mps" if probe("mps").usable else "cpu"
    if device not in COMPUTE_TYPES:
        raise WorkerError("device_unavailable", f"MLX has no device '{device}'; choose 'mps' or 'cpu'.")
    if device == "mps":
        require_gpu()
    else:
        import mlx.core as mx

        mx.set_default_device(mx.cpu)
    return device


def resolve_compute_type(device: str, asked: str) -> str:
    """The compute type for `auto`. Raises `device_unavailable` for what it lacks."""
    known = COMPUTE_TYPES[device]
    if asked == "auto":
        return known[0]
    if asked not in known:
        message = f"On '{device}' Parakeet has no compute type '{asked}'; choose {' or '.join(known)}."
        raise WorkerError("device_unavailable", message)
    return asked


def probe(device: str) -> ProbedDevice:
    """A real inference: a second of silence through a model of random weights."""
    try:
        compute_type = resolve_compute_type(resolve(device), "auto")
        from asrpro_worker.engines.parakeet.hearing import Parakeet

        with tempfile.TemporaryDirectory() as directory:
            write_tiny_parakeet(Path(directory))
            Parakeet(check_directory(directory), compute_type).warm_up(np.zeros(RATE, np.float32))
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the reason
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ProbedDevice(device, usable=False, compute_types=[], reason=f"MLX cannot use it: {text}.")
    return ProbedDevice(device, usable=True, compute_types=list(COMPUTE_TYPES[device]), reason=None)
