"""`python make_models.py DIRECTORY WHISPER` makes the models for the gateway's tests, named as in the catalogue.

WHISPER is the directory of a real Whisper in CTranslate2 format.
"""

from __future__ import annotations

import sys
from pathlib import Path

from toy_models import make_whisper
from toy_parakeets import make_parakeet
from whisper_onnx import make_whisper_onnx

from asrpro_worker.engines.parakeet.tiny import write_tiny_parakeet


def main(target: Path, whisper: Path) -> None:
    make_whisper(target / "whisper-tiny")
    make_parakeet(target / "parakeet-tdt-0.6b-v3-onnx", quantization=".int8")
    make_parakeet(target / "canary-1b-v2-onnx", "aed", quantization=".int8")
    write_tiny_parakeet(target / "parakeet-tdt-0.6b-v3-mlx")
    make_whisper_onnx(whisper, target / "whisper-tiny.en-onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
