"""Checks a directory with an ONNX export for onnx-asr, and explains load errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asrpro_worker.engines.model_files import broken, require_directory, require_file, require_object
from asrpro_worker.errors import WorkerError, known_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TRANSDUCER = ("encoder-model{q}.onnx", "decoder_joint-model{q}.onnx")
_WHISPER, _CANARY = "whisper", "nemo-conformer-aed"
# The possible kinds of model for each `model_type` in config.json: the library's name, the graphs and the vocabulary.
# `{q}` is the quantization with the separator before it.
_KINDS: dict[str, list[tuple[str, tuple[str, ...], str]]] = {
    "nemo-conformer-ctc": [("nemo-conformer-ctc", ("model{q}.onnx",), "vocab.txt")],
    "nemo-conformer-rnnt": [("nemo-conformer-rnnt", _TRANSDUCER, "vocab.txt")],
    "nemo-conformer-tdt": [("nemo-conformer-tdt", _TRANSDUCER, "vocab.txt")],
    _CANARY: [(_CANARY, ("encoder-model{q}.onnx", "decoder-model{q}.onnx"), "vocab.txt")],
    _WHISPER: [(_WHISPER, ("encoder_model{q}.onnx", "decoder_model_merged{q}.onnx"), "vocab.json")],
    # One repository can hold several of these models, which differ in the names of their files.
    "gigaam": [
        kind
        for version, e2e in (("v3", "_e2e"), ("v3", ""), ("v2", ""))
        for kind in (
            (
                f"gigaam-{version}{'-e2e' if e2e else ''}-rnnt",
                tuple(f"{version}{e2e}_rnnt_{part}{{q}}.onnx" for part in ("encoder", "decoder", "joint")),
                f"{version}{'_e2e_rnnt' if e2e else ''}_vocab.txt",
            ),
            (
                f"gigaam-{version}{'-e2e' if e2e else ''}-ctc",
                (f"{version}{e2e}_ctc{{q}}.onnx",),
                f"{version}{'_e2e_ctc' if e2e else ''}_vocab.txt",
            ),
        )
    ],
}
_ENGLISH_WHISPER_VOCABULARY = 51864


@dataclass(frozen=True)
class OnnxDirectory:
    """A complete directory. `model_type`: the library's name for the kind of model.

    `features`: mel bands in the configuration, None for the library's default. `languages`: the codes that Whisper and
    Canary accept; empty if the model takes none.
    """

    path: Path
    model_type: str
    features: int | None
    languages: list[str]

    @property
    def is_whisper(self) -> bool:
        """True for Whisper, which is decoded greedily and has no times."""
        return self.model_type == _WHISPER

    @property
    def is_canary(self) -> bool:
        """True for Canary, which is decoded greedily and has no times."""
        return self.model_type == _CANARY


def check_directory(path: str, quantization: str | None) -> OnnxDirectory:
    """Check what onnx-asr would notice late or download from the network. Raises `model_broken`."""
    directory = require_directory(path)
    # Without config.json the library assumes 80 mel bands, and a model with 128 fails at its first use.
    config = require_object(require_file(directory, "config.json"))
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _KINDS:
        known = ", ".join(_KINDS)
        raise broken(f"config.json says the model type is {model_type!r}", f"This engine runs {known}.")
    kinds = _KINDS[model_type]
    complete = [kind for kind in kinds if all(_find_graph(directory, graph, quantization) for graph in kind[1])]
    name, graphs, vocabulary = (complete or kinds)[0]
    for graph in graphs:
        _require_graph(directory, graph, quantization)
    languages: list[str] = []
    if name == _WHISPER:
        require_object(require_file(directory, vocabulary))
        tokens = require_object(require_file(directory, "added_tokens.json"))
        # English-only models must not get a language, which raises their error rate from 12 to 80 %.
        if config.get("vocab_size") != _ENGLISH_WHISPER_VOCABULARY:
            languages = _codes(tokens)
    else:
        texts = _check_vocabulary(require_file(directory, vocabulary), "<|endoftext|>" if name == _CANARY else "<blk>")
        languages = _codes(texts) if name == _CANARY else []
    features = config.get("num_mel_bins" if name == _WHISPER else "features_size")
    return OnnxDirectory(directory, name, features if isinstance(features, int) else None, languages)


def _find_graph(directory: Path, pattern: str, quantization: str | None) -> Path | None:
    """Find a graph as the library does: with `.int8` or `_int8`, and for Whisper also in `onnx/`."""
    spelled = {pattern.format(q=f"{mark}{quantization}" if quantization else "") for mark in "._"}
    places = [folder / name for name in sorted(spelled) for folder in (directory, directory / "onnx")]
    return next((place for place in places if place.is_file()), None)


def _require_graph(directory: Path, pattern: str, quantization: str | None) -> None:
    place = _find_graph(directory, pattern, quantization)
    if place is None:
        raise broken(f"{pattern.format(q=f'.{quantization}' if quantization else '')} is missing")
    require_file(place.parent, place.name)


def _check_vocabulary(file: Path, needed: str) -> list[str]:
    """The texts of the tokens. Raises `model_broken` if `needed` is not among them or an id is missing."""
    try:
        lines = [line.rsplit(" ", 1) for line in file.read_text(encoding="utf-8").splitlines()]
        ids = {int(line[1]) for line in lines}
    except (ValueError, IndexError) as error:
        raise broken(f"{file.name} is not a vocabulary") from error
    texts = [line[0] for line in lines]
    if needed not in texts or ids != set(range(len(ids))):
        raise broken(f"{file.name} is incomplete")
    return texts


def _codes(tokens: Iterable[str]) -> list[str]:
    """The language codes in tokens such as `<|en|>`. Other special tokens are longer or not only letters."""
    found = (re.fullmatch(r"<\|([a-z]{2,3})\|>", token) for token in tokens)
    return sorted(match[1] for match in found if match)


def load_error(error: Exception) -> WorkerError:
    """The answer for an error of onnxruntime or onnx-asr, for a directory that passed the checks."""
    if known := known_error(error):
        return known
    text = str(error)
    lowered = text.lower()
    if any(sign in lowered for sign in ("external data", "external initializer", ".onnx.data", ".onnx_data")):
        return broken("the file with the weights beside an .onnx file is missing or incomplete")
    if file := re.search(r"([^/\\\s]+\.onnx)\b", text):
        return broken(f"{file[1]} cannot be read")
    if "CUDA" in text:
        return WorkerError("device_unavailable", "The GPU cannot be used by onnxruntime. Choose the device 'cpu'.")
    if "dimension" in lowered:
        return broken("config.json does not fit the .onnx files")
    return broken("its files do not fit each other")
