"""Checks a model's files on the gateway's machine, as its engine does on the nodes.

Replicas that find the damage themselves take ten seconds to start and to end, and occupy the slots for that time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asrpro_worker.engines.nemo.files import check_checkpoint
from asrpro_worker.engines.onnx.files import check_directory as check_onnx
from asrpro_worker.engines.whisper.files import check_directory as check_whisper

if TYPE_CHECKING:
    from asrpro_worker.messages import Model


def check_model(engine: str, model: Model) -> None:
    """Raise `model_broken` if the engine would. It takes milliseconds: damage inside of the weights is not found."""
    if engine == "faster-whisper":
        check_whisper(model.path)
    elif engine == "onnx-asr":
        check_onnx(model.path, model.quantization)
    elif engine == "nemo":
        check_checkpoint(Path(model.path))
