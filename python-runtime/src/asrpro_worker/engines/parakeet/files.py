"""Checks a directory with Parakeet in MLX format: NeMo's configuration as `config.json`, and `model.safetensors`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asrpro_worker.engines.model_files import broken, require_directory, require_file, require_object
from asrpro_worker.errors import WorkerError, known_error
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

_SUPPORTED = "This engine runs FastConformer models with TDT, RNNT or CTC and without quantization."
# The default if the configuration sets no limit.
_MAX_TOKENS_PER_FRAME = 10
# Keys in the configuration with the supported values; the first value is the default.
_ENCODER = {
    "self_attention_model": ("rel_pos",),
    "subsampling": ("dw_striding",),
    "causal_downsampling": (False,),
    "conv_norm_type": ("batch_norm",),
}
_PREPROCESSOR = {
    "normalize": ("per_feature",),
    "sample_rate": (RATE,),
    "window": ("hann",),
    "mag_power": (2.0,),
    "log": (True,),
}


@dataclass(frozen=True)
class ParakeetDirectory:
    """A complete directory.

    `transducer`: False for a CTC model. `durations`: the frames that a TDT token may last; empty for RNNT.
    """

    path: Path
    config: dict[str, Any]
    vocabulary: dict[int, str]
    transducer: bool
    durations: list[int]
    max_tokens_per_frame: int

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return self.path / "model.safetensors"


def check_directory(path: str) -> ParakeetDirectory:
    """Check the files and the configuration. Raises `model_broken`."""
    directory = require_directory(path)
    config = require_object(require_file(directory, "config.json"))
    require_file(directory, "model.safetensors")
    if "quantization" in config:
        raise broken("config.json says that the weights are quantized", _SUPPORTED)
    for part, known in (("encoder", _ENCODER), ("preprocessor", _PREPROCESSOR)):
        settings = _object(config, part)
        for key, values in known.items():
            if settings.get(key, values[0]) not in values:
                raise broken(f"config.json sets {key} to {settings[key]!r}", _SUPPORTED)
    transducer = "joint" in config
    tokens = _object(config, "joint" if transducer else "decoder").get("vocabulary")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise broken("config.json has no vocabulary")
    decoding = _object(config, "decoding") if transducer else {}
    durations = decoding.get("durations") or []
    max_tokens = (decoding.get("greedy") or {}).get("max_symbols") or _MAX_TOKENS_PER_FRAME
    vocabulary = {index: token.replace("\u2581", " ") for index, token in enumerate(tokens)}
    return ParakeetDirectory(directory, config, vocabulary, transducer, durations, max_tokens)


def load_error(error: Exception) -> WorkerError:
    """The answer for an error of MLX, for a directory that passed the checks."""
    if known := known_error(error):
        return known
    text = str(error)
    if "[metal" in text.lower():
        reason = text.splitlines()[0]
        return WorkerError("device_unavailable", f"The GPU cannot be used: {reason}. Choose the device 'cpu'.")
    if isinstance(error, KeyError):
        return broken(f"config.json or model.safetensors has no {error.args[0]}")
    if "safetensors" in text.lower():
        return broken("model.safetensors cannot be read")
    return broken("config.json does not fit model.safetensors")


def _object(config: dict[str, Any], part: str) -> dict[str, Any]:
    settings = config.get(part)
    if not isinstance(settings, dict):
        raise broken(f"config.json has no {part}")
    return settings
