"""Checks a directory with a Whisper model in CTranslate2 format, and explains load errors."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asrpro_worker.engines.model_files import broken, require_directory, require_file, require_json, require_object
from asrpro_worker.engines.whisper.model_bin import decoder_size
from asrpro_worker.errors import WorkerError, known_error

if TYPE_CHECKING:
    from pathlib import Path

_SPEC = "WhisperSpec"
# Decoder layers of shortened models by mel bands: turbo has 4 (128 bands), distilled models 2. Tiny has 4 (80 bands).
_SHORT_LAYERS = {80: 2, 128: 4}

# Index of the last decoder layer by the width of the model.
_LAYERS_BY_WIDTH = {384: 3, 512: 5, 768: 11, 1024: 23}

# Words in CTranslate2's errors for a truncated or modified file of weights.
_WEIGHTS_ERRORS = ("model.bin", "incomplete", "binary version", "variable", "payload")


@dataclass(frozen=True)
class WhisperDirectory:
    """A complete directory. `alignment_layers`: the decoder layers with the alignment heads for word times.

    `mels`: mel bands of the features; None if the directory does not state them.
    """

    path: Path
    alignment_layers: list[int]
    mels: int | None

    def check_mels(self, wanted: int) -> None:
        """Raise `model_broken` if preprocessor_config.json belongs to another model than the weights."""
        if self.mels not in (None, wanted):
            raise broken(f"preprocessor_config.json says {self.mels} mel bands, but the model has {wanted}")

    def bytes_per_piece(self, width: int) -> int:
        """Memory of a piece in the decoder: keys and values of its sound and of 5 beams of 200 tokens, in float32."""
        layers = 1 + max(self.alignment_layers, default=_LAYERS_BY_WIDTH.get(width, 31))
        return 2 * layers * width * 4 * (1500 + 5 * 200)

    def is_shortened(self, mels: int) -> bool:
        """True for turbo and distilled models, recognized by the highest decoder layer in the configuration."""
        return bool(self.alignment_layers) and max(self.alignment_layers) < _SHORT_LAYERS.get(mels, 0)


def check_directory(path: str) -> WhisperDirectory:
    """Check what CTranslate2 would notice late or download from the network. Raises `model_broken`."""
    directory = require_directory(path)
    _check_weights(require_file(directory, "model.bin"))
    config = require_object(require_file(directory, "config.json"))
    require_object(require_file(directory, "tokenizer.json"))
    tokens = _check_vocabulary(require_file(directory, "vocabulary.json", "vocabulary.txt"))
    mels = None
    if (directory / "preprocessor_config.json").exists():
        mels = require_object(require_file(directory, "preprocessor_config.json")).get("feature_size")
    layers = _check_config(config, tokens, directory / "model.bin")
    return WhisperDirectory(directory, layers, mels if isinstance(mels, int) else None)


def _check_weights(file: Path) -> None:
    """Check the head of `model.bin`: a version (32 bit), and the length (16 bit) and name of the architecture."""
    with file.open("rb") as content:
        head = content.read(256)
    try:
        version, length = struct.unpack_from("<IH", head)
        spec = head[6 : 6 + length].rstrip(b"\0").decode("ascii")
    except (struct.error, UnicodeDecodeError) as error:
        raise broken("model.bin is not a CTranslate2 model") from error
    if not 1 < version < 100 or not spec.isidentifier():  # noqa: PLR2004 - version 6 in 2025
        raise broken("model.bin is not a CTranslate2 model")
    if spec != _SPEC:
        raise broken(f"model.bin holds a {spec}, not a Whisper model", "Choose a Whisper model.")


def _check_config(config: dict[str, object], tokens: int, weights: Path) -> list[int]:
    """Check the numbers in config.json: CTranslate2 crashes on tokens and heads that the model does not have.

    Returns the layers of the alignment heads.
    """
    for key in ("lang_ids", "suppress_ids", "suppress_ids_begin"):
        if not _is_list_of_numbers(config.get(key) or [], tokens):
            raise broken(f"config.json has {key} that the vocabulary does not have")
    heads = config.get("alignment_heads") or []
    try:
        size = decoder_size(weights)
    except RuntimeError as error:
        raise broken(str(error)) from error
    pairs: list[Any] = heads if isinstance(heads, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == len(size) for pair in pairs) or not all(
        _is_list_of_numbers([number], limit) for pair in pairs for number, limit in zip(pair, size, strict=True)
    ):
        raise broken("config.json has alignment_heads that the model does not have")
    return [pair[0] for pair in pairs]


def _is_list_of_numbers(values: object, limit: int) -> bool:
    """True for a list of whole numbers from 0 to below `limit`."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < limit for value in values)


def _check_vocabulary(file: Path) -> int:
    """Check the vocabulary, because CTranslate2 loads a truncated one silently and fails during a request.

    Returns the number of its tokens.
    """
    try:
        tokens = require_json(file) if file.suffix == ".json" else file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise broken(f"{file.name} is not a text file") from error
    if not isinstance(tokens, list) or "<|startoftranscript|>" not in tokens:
        raise broken(f"{file.name} is not a vocabulary of Whisper")
    return len(tokens)


def load_error(error: Exception) -> WorkerError:
    """The answer for an error of CTranslate2 or the tokenizer, for a directory that passed the checks."""
    if known := known_error(error):
        return known
    text = str(error)
    lowered = text.lower()
    if any(sign in lowered for sign in ("cublas", "cudnn", "cuda", "libcu", "[metal")):
        reason = text.splitlines()[0]
        return WorkerError("device_unavailable", f"The GPU cannot be used: {reason}. Choose the device 'cpu'.")
    if isinstance(error, ValueError) and ("compute type" in lowered or "device" in lowered):
        return WorkerError("device_unavailable", f"{text.splitlines()[0].rstrip('.')}. Choose another one.")
    if "vocabulary" in lowered:
        return broken("the vocabulary file does not fit the weights")
    if isinstance(error, RuntimeError) and any(sign in lowered for sign in _WEIGHTS_ERRORS):
        return broken("model.bin is incomplete or of an unknown version")
    if type(error) is Exception:
        # The library `tokenizers` raises plain Exception.
        return broken("tokenizer.json cannot be read")
    return broken("its files do not fit each other")
