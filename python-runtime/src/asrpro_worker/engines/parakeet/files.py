"""A directory with a Parakeet in MLX form: NeMo's configuration as `config.json`, and `model.safetensors`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asrpro_worker.engines.model_files import broken, require_directory, require_file, require_object
from asrpro_worker.errors import WorkerError, as_worker_error
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

_OTHER = "This engine runs FastConformers with TDT, RNNT or CTC, whose weights are not quantized."
# Where the configuration sets no limit of its own.
_TOKENS_IN_A_FRAME = 10
# Key in the configuration, and what this engine can compute. What is missing there is the first.
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

    `durations`: frames that a token of a TDT may last; empty for RNNT. `transducer`: else it is a CTC model.
    `most`: tokens in one frame.
    """

    path: Path
    config: dict[str, Any]
    vocabulary: dict[int, str]
    transducer: bool
    durations: list[int]
    most: int

    @property
    def weights(self) -> Path:
        """The file that MLX reads."""
        return self.path / "model.safetensors"


def check_directory(path: str) -> ParakeetDirectory:
    """Check the files and what the configuration asks for. Raises `model_broken`."""
    directory = require_directory(path)
    config = require_object(require_file(directory, "config.json"))
    require_file(directory, "model.safetensors")
    if "quantization" in config:
        raise broken("config.json says that its weights are quantized", _OTHER)
    for part, known in (("encoder", _ENCODER), ("preprocessor", _PREPROCESSOR)):
        settings = _object(config, part)
        for key, values in known.items():
            if settings.get(key, values[0]) not in values:
                raise broken(f"config.json has a {key} of {settings[key]!r}", _OTHER)
    transducer = "joint" in config
    tokens = _object(config, "joint" if transducer else "decoder").get("vocabulary")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise broken("config.json has no vocabulary")
    decoding = _object(config, "decoding") if transducer else {}
    durations = decoding.get("durations") or []
    most = (decoding.get("greedy") or {}).get("max_symbols") or _TOKENS_IN_A_FRAME
    vocabulary = {index: token.replace("\u2581", " ") for index, token in enumerate(tokens)}
    return ParakeetDirectory(directory, config, vocabulary, transducer, durations, most)


def load_error(error: Exception) -> WorkerError:
    """What MLX raised for a directory whose files all looked right."""
    known = as_worker_error(error)
    if known.code != "internal_error":
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
