"""MLX as a device for Whisper. MLX is imported only by the functions that need it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu
from asrpro_worker.engines.device_probe import first_line, probed
from asrpro_worker.engines.whisper.backend import Options
from asrpro_worker.engines.whisper.features import FRAMES
from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import ProbedDevice

COMPUTE_TYPES = ("float16", "float32")


def resolve_compute_type(requested: str) -> str:
    """The compute type to use; for `auto` that of the published files. Raises `device_unavailable`."""
    if requested == "auto":
        return COMPUTE_TYPES[0]
    if requested not in COMPUTE_TYPES:
        message = f"Whisper on 'mps' has no compute type '{requested}'; choose {' or '.join(COMPUTE_TYPES)}."
        raise WorkerError("device_unavailable", message)
    return requested


def probe(device: str) -> ProbedDevice:
    """Run silence through encoder and decoder of a model of random weights."""
    return probed(device, _transcribe_silence, lambda error: f"MLX cannot use it: {first_line(error)}.")


def _transcribe_silence() -> tuple[str, ...]:
    require_gpu()
    from asrpro_worker.engines.whisper.mlx_backend import MlxBackend

    vocabulary = ["", *special_tokens(["en"])]
    with tempfile.TemporaryDirectory() as directory:
        write_tiny_whisper(Path(directory), vocabulary, ["en"])
        backend = MlxBackend(Path(directory), COMPUTE_TYPES[0])
        encoded = backend.encode([np.zeros((backend.facts().mels, FRAMES), np.float32)])
        prompt = [vocabulary.index(f"<|{name}|>") for name in ("startoftranscript", "en", "transcribe", "notimestamps")]
        backend.generate(encoded, [prompt], Options(beam_size=1, temperature=0.0, max_tokens=len(prompt) + 2))
    return COMPUTE_TYPES
