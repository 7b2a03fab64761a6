"""Whisper's network in MLX, with the weights of CTranslate2's `model.bin`.

The package mlx-whisper is not used because it depends on torch, numba and scipy, hundreds of megabytes.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from asrpro_worker.engines.whisper.model_bin import read_model_bin

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_EPSILON = 1e-5


@dataclass
class State:
    """Keys and values per layer: `sound` has a row for each piece, `text` has a row for each text so far."""

    sound: list[tuple[Any, Any]]
    text: list[tuple[Any, Any]] | None = None

    def rows(self, pieces: list[int], texts: list[int]) -> None:
        """Keep only these rows, in this order."""
        if pieces != list(range(self.sound[0][0].shape[0])):
            kept = mx.array(pieces)
            self.sound = [(mx.take(key, kept, 0), mx.take(value, kept, 0)) for key, value in self.sound]
        if self.text is not None and texts != list(range(self.text[0][0].shape[0])):
            kept = mx.array(texts)
            self.text = [(mx.take(key, kept, 0), mx.take(value, kept, 0)) for key, value in self.text]


class WhisperModel:
    """Encoder and decoder, with weights and activations of type `dtype`."""

    def __init__(self, path: Path, dtype: Any) -> None:
        variables = read_model_bin(path / "model.bin")
        self.config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
        self.dtype = dtype
        self._heads = int(variables["decoder/num_heads"])
        self._weights = {name: self._array(name, array) for name, array in variables.items() if array.ndim}
        mx.eval(self._weights)
        self.mels = int(variables["encoder/conv1/weight"].shape[1])
        self.decoder_layers = self._count("decoder")
        self._encoder_layers = self._count("encoder")
        self.alignment_heads: list[list[int]] = self.config.get("alignment_heads") or [
            [layer, head]
            for layer in range(self.decoder_layers // 2, self.decoder_layers)
            for head in range(self._heads)
        ]

    def encode(self, features: Any) -> Any:
        """Encode features of shape (pieces, mels, 3000) to (pieces, 1500, width)."""
        x = features.astype(self.dtype).transpose(0, 2, 1)
        for name, stride in (("conv1", 1), ("conv2", 2)):
            convolved = mx.conv1d(x, self._get(f"encoder/{name}/weight"), stride=stride, padding=1)
            x = _gelu(convolved + self._get(f"encoder/{name}/bias"))
        x = x + self._get("encoder/position_encodings/encodings")
        for at in range(self._encoder_layers):
            layer = f"encoder/layer_{at}"
            query, key, value = self._projected(x, f"{layer}/self_attention", 0, 3)
            x = x + self._linear(_merged(self._attend(query, key, value)), f"{layer}/self_attention/linear_1")
            x = self._forward(x, layer)
        return self._norm(x, "encoder/layer_norm")

    def listen(self, encoded: Any) -> State:
        """The decoder's state for the encoder's output: the keys and values of the cross-attention."""
        sound = []
        for at in range(self.decoder_layers):
            both = self._linear(encoded, f"decoder/layer_{at}/attention/linear_1")
            key, value = (self._split(part) for part in mx.split(both, 2, axis=-1))
            sound.append((key, value))
        return State(sound)

    def decode(self, tokens: NDArray[np.int32], state: State, attention: list[Any] | None = None) -> Any:
        """Decode tokens that continue `state`; returns the normalized output, shape (texts, tokens, width).

        Each piece has the same number of texts. If `attention` is given, which requires one text per piece, the scores
        of the cross-attention are appended to it: one array of shape (pieces, heads, tokens, 1500) per layer.
        """
        length = tokens.shape[1]
        past = 0 if state.text is None else int(state.text[0][0].shape[2])
        positions = self._get("decoder/position_encodings/encodings")[past : past + length]
        x = self._get("decoder/embeddings/weight")[mx.array(tokens)] + positions
        mask = None
        if length > 1:
            seen = np.arange(past + length)[None, :] <= np.arange(past, past + length)[:, None]
            mask = mx.where(mx.array(seen), 0.0, -mx.inf).astype(self.dtype)
        kept = []
        for at in range(self.decoder_layers):
            layer = f"decoder/layer_{at}"
            query, key, value = self._projected(x, f"{layer}/self_attention", 0, 3)
            if state.text is not None:
                key = mx.concatenate([state.text[at][0], key], axis=2)
                value = mx.concatenate([state.text[at][1], value], axis=2)
            kept.append((key, value))
            x = x + self._linear(_merged(self._attend(query, key, value, mask)), f"{layer}/self_attention/linear_1")
            x = x + self._cross_attend(x, layer, *state.sound[at], attention)
            x = self._forward(x, layer)
        state.text = kept
        return self._norm(x, "decoder/layer_norm")

    def logits(self, output: Any) -> Any:
        """The logits of the whole vocabulary, as float32."""
        projection = self._weights.get("decoder/projection/weight", self._weights["decoder/embeddings/weight"])
        return (output @ projection.T).astype(mx.float32)

    def _cross_attend(self, x: Any, layer: str, key: Any, value: Any, attention: list[Any] | None) -> Any:
        """Cross-attention. The texts of a piece are joined along the query axis, which saves copies of its keys."""
        (query,) = self._projected(x, f"{layer}/attention", 0, 1)
        texts, heads, length, width = query.shape
        pieces = key.shape[0]
        grouped = query.reshape(pieces, texts // pieces, heads, length, width).transpose(0, 2, 1, 3, 4)
        grouped = grouped.reshape(pieces, heads, -1, width)
        if attention is not None:
            attention.append((grouped @ key.transpose(0, 1, 3, 2)).astype(mx.float32) / math.sqrt(width))
        y = self._attend(grouped, key, value).reshape(pieces, heads, texts // pieces, length, width)
        y = y.transpose(0, 2, 1, 3, 4).reshape(texts, heads, length, width)
        return self._linear(_merged(y), f"{layer}/attention/linear_2")

    def _projected(self, x: Any, block: str, linear: int, parts: int) -> list[Any]:
        y = self._linear(self._norm(x, f"{block}/layer_norm"), f"{block}/linear_{linear}")
        return [self._split(part) for part in mx.split(y, parts, axis=-1)]

    def _attend(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        scale = 1.0 / math.sqrt(query.shape[-1])
        return mx.fast.scaled_dot_product_attention(query, key, value, scale=scale, mask=mask)

    def _forward(self, x: Any, layer: str) -> Any:
        y = _gelu(self._linear(self._norm(x, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0"))
        return x + self._linear(y, f"{layer}/ffn/linear_1")

    def _linear(self, x: Any, name: str) -> Any:
        y = x @ self._get(f"{name}/weight").T
        bias = self._weights.get(f"{name}/bias")
        return y if bias is None else y + bias

    def _norm(self, x: Any, name: str) -> Any:
        return mx.fast.layer_norm(x, self._get(f"{name}/gamma"), self._get(f"{name}/beta"), _EPSILON)

    def _split(self, x: Any) -> Any:
        rows, length, width = x.shape
        return x.reshape(rows, length, self._heads, width // self._heads).transpose(0, 2, 1, 3)

    def _array(self, name: str, array: NDArray[Any]) -> Any:
        # MLX expects the input channels of a convolution in the last axis.
        ordered = array.transpose(0, 2, 1) if "/conv" in name and array.ndim > 1 else array
        return mx.array(np.ascontiguousarray(ordered)).astype(self.dtype)

    def _get(self, name: str) -> Any:
        try:
            return self._weights[name]
        except KeyError:
            raise RuntimeError(f"model.bin has no variable {name}") from None

    def _count(self, half: str) -> int:
        at = 0
        while f"{half}/layer_{at}/ffn/linear_0/weight" in self._weights:
            at += 1
        return at


def _gelu(x: Any) -> Any:
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


def _merged(x: Any) -> Any:
    rows, heads, length, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(rows, length, heads * width)
