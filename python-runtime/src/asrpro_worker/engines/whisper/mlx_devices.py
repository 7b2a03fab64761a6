"""Whether MLX can really use the GPU of this machine. Imports MLX only where it is asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from asrpro_worker.engines.apple_gpu import require_gpu
from asrpro_worker.engines.whisper.backend import Options
from asrpro_worker.engines.whisper.features import FRAMES
from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper
from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import ProbedDevice

COMPUTE_TYPES = ("float16", "float32")


def resolve_compute_type(asked: str) -> str:
    """The compute type for `auto`: that of the published files. Raises `device_unavailable` for what MLX lacks."""
    if asked == "auto":
        return COMPUTE_TYPES[0]
    if asked not in COMPUTE_TYPES:
        known = " or ".join(COMPUTE_TYPES)
        raise WorkerError("device_unavailable", f"On 'mps' Whisper has no compute type '{asked}'; choose {known}.")
    return asked


def probe(device: str) -> ProbedDevice:
    """A real inference: silence through encoder and decoder of a model of random weights."""
    try:
        require_gpu()
        _transcribe_something()
    except WorkerError as error:
        return ProbedDevice(device, usable=False, compute_types=[], reason=error.message)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the reason
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ProbedDevice(device, usable=False, compute_types=[], reason=f"MLX cannot use it: {text}.")
    return ProbedDevice(device, usable=True, compute_types=list(COMPUTE_TYPES), reason=None)


def _transcribe_something() -> None:
    from asrpro_worker.engines.whisper.mlx_backend import MlxBackend

    vocabulary = ["", *special_tokens(["en"])]
    with tempfile.TemporaryDirectory() as directory:
        write_tiny_whisper(Path(directory), vocabulary, ["en"])
        backend = MlxBackend(Path(directory), COMPUTE_TYPES[0])
        encoded = backend.encode([np.zeros((backend.facts().mels, FRAMES), np.float32)])
        prompt = [vocabulary.index(f"<|{name}|>") for name in ("startoftranscript", "en", "transcribe", "notimestamps")]
        backend.generate(encoded, [prompt], Options(beam_size=1, temperature=0.0, most_tokens=len(prompt) + 2))
