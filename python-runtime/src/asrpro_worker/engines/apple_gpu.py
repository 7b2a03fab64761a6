"""Whether MLX is here, and a GPU for it. Imports MLX only where it is asked for."""

from __future__ import annotations

import importlib.util

from asrpro_worker.errors import WorkerError


def require_mlx() -> None:
    """Raise `device_unavailable` where MLX is not installed."""
    # The parent package first: without it the search itself fails.
    if importlib.util.find_spec("mlx") is None or importlib.util.find_spec("mlx.core") is None:
        raise WorkerError("device_unavailable", "MLX, which needs a Mac with Apple silicon, is not installed.")


def require_gpu() -> None:
    """Raise `device_unavailable` where MLX is not installed or computes on the CPU."""
    require_mlx()
    import mlx.core as mx

    if not mx.metal.is_available():
        raise WorkerError("device_unavailable", "MLX finds no Apple GPU here; choose 'cpu'.")
