"""Devices for MLX on this machine. MLX is imported only by the functions that need it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu, require_mlx
from asrpro_worker.engines.device_probe import first_line, probed
from asrpro_worker.engines.parakeet.files import check_directory
from asrpro_worker.engines.parakeet.tiny import write_tiny_parakeet
from asrpro_worker.errors import WorkerError
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from asrpro_worker.messages import ProbedDevice

# The best first. bfloat16 has the range of float32, in which these models were trained.
COMPUTE_TYPES = {"mps": ("bfloat16", "float16", "float32"), "cpu": ("float32",)}


def resolve(device: str) -> str:
    """The device to use for `auto`, `mps` or `cpu`; makes it MLX's default. Raises `device_unavailable`."""
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


def resolve_compute_type(device: str, requested: str) -> str:
    """The compute type to use. Raises `device_unavailable`."""
    known = COMPUTE_TYPES[device]
    if requested == "auto":
        return known[0]
    if requested not in known:
        message = f"Parakeet on '{device}' has no compute type '{requested}'; choose {' or '.join(known)}."
        raise WorkerError("device_unavailable", message)
    return requested


def probe(device: str) -> ProbedDevice:
    """Run a second of silence through a model of random weights."""
    return probed(device, lambda: _recognize_silence(device), lambda error: f"MLX cannot use it: {first_line(error)}.")


def _recognize_silence(device: str) -> tuple[str, ...]:
    compute_type = resolve_compute_type(resolve(device), "auto")
    from asrpro_worker.engines.parakeet.model import Parakeet

    with tempfile.TemporaryDirectory() as directory:
        write_tiny_parakeet(Path(directory))
        Parakeet(check_directory(directory), compute_type).warm_up(np.zeros(RATE, np.float32))
    return COMPUTE_TYPES[device]
