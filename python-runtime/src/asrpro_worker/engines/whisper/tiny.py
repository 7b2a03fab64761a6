"""Writes a Whisper model of random weights in CTranslate2 format, 0.6 MB, to test a device with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ctranslate2.specs import WhisperSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DIM = 32
_HEADS = 2


def write_tiny_whisper(
    directory: Path, vocabulary: list[str], languages: list[str], mels: int = 80, quantization: str | None = None
) -> None:
    """Write `model.bin`, `config.json` and the vocabulary file, with the same bytes every time.

    `vocabulary` must contain Whisper's special tokens. With the empty token in it, CTranslate2 treats the model as
    multilingual.
    """
    random = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * 0.05).astype(np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(_DIM, np.float32), np.zeros(_DIM, np.float32)

    def linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight, layer.bias = normal(rows, columns), np.zeros(rows, np.float32)

    def block(layer: Any, *, decoder: bool) -> None:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * _DIM, _DIM)
        linear(layer.self_attention.linear[1], _DIM, _DIM)
        if decoder:
            norm(layer.attention.layer_norm)
            linear(layer.attention.linear[0], _DIM, _DIM)
            linear(layer.attention.linear[1], 2 * _DIM, _DIM)
            linear(layer.attention.linear[2], _DIM, _DIM)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, 4 * _DIM, _DIM)
        linear(layer.ffn.linear_1, _DIM, 4 * _DIM)

    spec = WhisperSpec(1, _HEADS, 1, _HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = normal(_DIM, mels, 3), np.zeros(_DIM, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = normal(_DIM, _DIM, 3), np.zeros(_DIM, np.float32)
    encoder.position_encodings.encodings = normal(1500, _DIM)
    decoder.embeddings.weight = normal(len(vocabulary), _DIM)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = normal(448, _DIM)
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    block(encoder.layer[0], decoder=False)
    block(decoder.layer[0], decoder=True)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary.index("<|endoftext|>")]
    spec.config.lang_ids = [vocabulary.index(f"<|{language}|>") for language in languages]
    spec.config.alignment_heads = [[0, head] for head in range(_HEADS)]
    spec.register_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))


def special_tokens(languages: list[str]) -> list[str]:
    """Whisper's commands and its 1501 timestamp tokens in the order of its vocabulary."""
    commands = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    times = [f"{step * 0.02:.2f}" for step in range(1501)]
    return [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *languages, *commands, *times)]
