"""A directory with an ONNX export that onnx-asr loads: what must be in it, and what its errors mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asrpro_worker.engines.model_files import broken, require_directory, require_file, require_object
from asrpro_worker.errors import WorkerError, as_worker_error

if TYPE_CHECKING:
    from pathlib import Path

# Files by `model_type` of config.json; `{q}` is the quantization with the character before it.
_GRAPHS = {
    "nemo-conformer-ctc": ("model{q}.onnx",),
    "nemo-conformer-rnnt": ("encoder-model{q}.onnx", "decoder_joint-model{q}.onnx"),
    "nemo-conformer-tdt": ("encoder-model{q}.onnx", "decoder_joint-model{q}.onnx"),
    "whisper": ("encoder_model{q}.onnx", "decoder_model_merged{q}.onnx"),
}
_ENGLISH_WHISPER_VOCABULARY = 51864


@dataclass(frozen=True)
class OnnxDirectory:
    """A complete directory. `features`: mel bands that the configuration states, None for the library's default."""

    path: Path
    model_type: str
    features: int | None
    # Whisper's language codes; empty where the model takes none.
    languages: list[str]

    @property
    def is_whisper(self) -> bool:
        """Greedy Whisper without times, or a Conformer with a time for each token."""
        return self.model_type == "whisper"


def check_directory(path: str, quantization: str | None) -> OnnxDirectory:
    """Check everything that onnx-asr would find late or fetch from the network. Raises `model_broken`."""
    directory = require_directory(path)
    # Without it the library assumes 80 mel bands, and a model of 128 fails at its first use.
    config = require_object(require_file(directory, "config.json"))
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _GRAPHS:
        known = ", ".join(_GRAPHS)
        raise broken(f"config.json says the model type is {model_type!r}", f"This engine runs {known}.")
    for pattern in _GRAPHS[model_type]:
        _require_graph(directory, pattern, quantization)
    languages: list[str] = []
    if model_type == "whisper":
        require_object(require_file(directory, "vocab.json"))
        tokens = require_object(require_file(directory, "added_tokens.json"))
        if config.get("vocab_size") != _ENGLISH_WHISPER_VOCABULARY:
            languages = sorted(code for token in tokens if (code := _language(token)))
    else:
        _check_vocabulary(require_file(directory, "vocab.txt"))
    features = config.get("num_mel_bins" if model_type == "whisper" else "features_size")
    return OnnxDirectory(directory, model_type, features if isinstance(features, int) else None, languages)


def _require_graph(directory: Path, pattern: str, quantization: str | None) -> None:
    """The library looks for `.int8` and `_int8` alike, and for Whisper in `onnx/` too."""
    name = pattern.format(q=f".{quantization}" if quantization else "")
    spelled = {name, pattern.format(q=f"_{quantization}" if quantization else "")}
    for candidate in sorted(spelled):
        for folder in (directory, directory / "onnx"):
            if (folder / candidate).is_file():
                require_file(folder, candidate)
                return
    raise broken(f"{name} is missing")


def _check_vocabulary(file: Path) -> None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        ids = {int(line.rsplit(" ", 1)[1]) for line in lines}
    except (ValueError, IndexError) as error:
        raise broken(f"{file.name} is not a vocabulary") from error
    if not any(line.startswith("<blk> ") for line in lines) or ids != set(range(len(ids))):
        raise broken(f"{file.name} is incomplete")


def _language(token: str) -> str | None:
    """The code in `<|en|>`; the other special tokens are longer or hold more than letters."""
    found = re.fullmatch(r"<\|([a-z]{2,3})\|>", token)
    return found[1] if found else None


def load_error(error: Exception) -> WorkerError:
    """What onnxruntime or onnx-asr raised for a directory whose files all looked right."""
    known = as_worker_error(error)
    if known.code != "internal_error":
        return known
    text = str(error)
    lowered = text.lower()
    if any(sign in lowered for sign in ("external data", "external initializer", ".onnx.data", ".onnx_data")):
        return broken("the file of weights beside an .onnx file is missing or incomplete")
    if file := re.search(r"([^/\\\s]+\.onnx)\b", text):
        return broken(f"{file[1]} cannot be read")
    if "CUDA" in text:
        return WorkerError("device_unavailable", "The GPU cannot be used by onnxruntime. Choose the device 'cpu'.")
    if "dimension" in lowered:
        return broken("config.json does not fit the .onnx files")
    return broken("its files do not fit each other")
