"""Checks for MLX and its GPU. MLX is imported only by the functions that need it."""

from __future__ import annotations

import importlib.util

from asrpro_worker.errors import WorkerError


def require_mlx() -> None:
    """Raise `device_unavailable` if MLX is not installed."""
    # The parent package first: `find_spec` raises without it.
    if importlib.util.find_spec("mlx") is None or importlib.util.find_spec("mlx.core") is None:
        raise WorkerError("device_unavailable", "MLX, which needs a Mac with Apple silicon, is not installed.")


def require_gpu() -> None:
    """Raise `device_unavailable` if MLX is not installed or runs on the CPU."""
    require_mlx()
    import mlx.core as mx

    if not mx.metal.is_available():
        raise WorkerError("device_unavailable", "MLX finds no Apple GPU here; choose 'cpu'.")
