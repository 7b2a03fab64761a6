"""A FastConformer and its decoders in MLX, with the weights of `model.safetensors`.

The package parakeet-mlx is not used because it depends on librosa, numba and scipy, hundreds of megabytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from asrpro_worker.engines.parakeet.files import ParakeetDirectory

_EPSILON = 1e-5
_ACTIVATIONS: dict[str, Any] = {"relu": lambda x: mx.maximum(x, 0.0), "sigmoid": mx.sigmoid, "tanh": mx.tanh}

State = list[tuple[Any, Any]]
"""Output and cell of each LSTM layer, with a row for each piece."""


class Network:
    """The encoder computes in `dtype`, the small decoder in float32."""

    def __init__(self, directory: ParakeetDirectory, dtype: Any) -> None:
        config = directory.config
        encoder = config["encoder"]
        self._dtype = dtype
        self._heads = int(encoder["n_heads"])
        self._layers = int(encoder["n_layers"])
        self._scale = math.sqrt(encoder["d_model"]) if encoder.get("xscaling", True) else 1.0
        self.subsampling = int(encoder["subsampling_factor"])
        self._blank = len(directory.vocabulary)
        weights: Any = mx.load(str(directory.weights))
        self._weights = {
            name: array.astype(dtype if name.startswith("encoder.") else mx.float32) for name, array in weights.items()
        }
        for at in range(self._layers):
            self._fold_batch_norm(f"encoder.layers.{at}.conv", weights)
        if directory.transducer:
            table = self._get("decoder.prediction.embed.weight")[: self._blank]
            # The row for the blank, which precedes the first token, is zero.
            self._embeddings = mx.concatenate([table, mx.zeros((1, table.shape[1]))])
            prediction = config["decoder"]["prednet"]
            self._recurrent = int(prediction["pred_rnn_layers"])
            self._width = int(prediction.get("rnn_hidden_size") or prediction["pred_hidden"])
            # Without dropout in training, the output layer has the index 1.
            self._out = "joint.joint_net.1" if "joint.joint_net.1.weight" in weights else "joint.joint_net.2"
            self._activation = _ACTIVATIONS[config["joint"]["jointnet"]["activation"].lower()]
        mx.eval(self._weights)

    def encode(self, features: NDArray[np.float32]) -> Any:
        """Encode one piece, (frames, mels), to (fewer frames, width). A single piece needs no masks and fills a GPU."""
        x = self._subsampled(mx.array(features)[None, :, :, None].astype(self._dtype)) * self._scale
        positions = self._positions(x.shape[1], x.shape[2])
        for at in range(self._layers):
            layer = f"encoder.layers.{at}"
            x = x + 0.5 * self._forward(x, layer, "feed_forward1")
            x = x + self._attend(self._norm(x, f"{layer}.norm_self_att"), positions, f"{layer}.self_attn")
            x = x + self._convolve(self._norm(x, f"{layer}.norm_conv"), f"{layer}.conv")
            x = x + 0.5 * self._forward(x, layer, "feed_forward2")
            x = self._norm(x, f"{layer}.norm_out")
        return x[0].astype(mx.float32)

    def ctc(self, encoded: Any) -> NDArray[np.float32]:
        """Log-probabilities of shape (frames, vocabulary + 1), the blank last."""
        weight = self._get("decoder.decoder_layers.0.weight")[:, 0]
        scores = encoded @ weight.T + self._get("decoder.decoder_layers.0.bias")
        return np.array(scores - mx.logsumexp(scores, axis=-1, keepdims=True))

    def joined(self, encoded: Any) -> Any:
        """The joint network's projection of all frames of a piece."""
        return self._linear(encoded, "joint.enc")

    def start(self, rows: int) -> State:
        """The state before the first token."""
        return [(mx.zeros((rows, self._width)), mx.zeros((rows, self._width))) for _ in range(self._recurrent)]

    def predict(self, tokens: Sequence[int], state: State) -> tuple[Any, State]:
        """The joint network's projection of the prediction after the last token of each row, and the new state."""
        x = self._embeddings[mx.array(list(tokens))]
        following = []
        for at, (output, cell) in enumerate(state):
            name = f"decoder.prediction.dec_rnn.lstm.{at}"
            gates = x @ self._get(f"{name}.Wx").T + output @ self._get(f"{name}.Wh").T + self._get(f"{name}.bias")
            input_gate, forget_gate, candidate, output_gate = mx.split(gates, 4, axis=-1)
            cell = mx.sigmoid(forget_gate) * cell + mx.sigmoid(input_gate) * mx.tanh(candidate)  # noqa: PLW2901
            x = mx.sigmoid(output_gate) * mx.tanh(cell)
            following.append((x, cell))
        return self._linear(x, "joint.pred"), following

    def joint(self, encoded: Any, predicted: Any) -> NDArray[np.float32]:
        """Scores of tokens, blank and durations, with a row for each piece."""
        return np.array(self._linear(self._activation(encoded + predicted), self._out))

    def _subsampled(self, x: Any) -> Any:
        name = "encoder.pre_encode.conv"
        x = mx.conv2d(x, self._get(f"{name}.0.weight"), stride=2, padding=1) + self._get(f"{name}.0.bias")
        at = 2
        while 2 ** (at // 3 + 1) < self.subsampling:
            x, depthwise = mx.maximum(x, 0.0), self._get(f"{name}.{at}.weight")
            x = mx.conv2d(x, depthwise, stride=2, padding=1, groups=x.shape[-1]) + self._get(f"{name}.{at}.bias")
            x = mx.conv2d(x, self._get(f"{name}.{at + 1}.weight")) + self._get(f"{name}.{at + 1}.bias")
            at += 3
        x = mx.maximum(x, 0.0).transpose(0, 1, 3, 2)
        return self._linear(x.reshape(1, x.shape[1], -1), "encoder.pre_encode.out")

    def _positions(self, frames: int, width: int) -> Any:
        """Sines and cosines of the distances between two frames, the largest distance first."""
        distances = np.arange(frames - 1, -frames, -1, dtype=np.float32)[:, None]
        rates = np.exp(np.arange(0, width, 2, dtype=np.float32) * -(math.log(10000.0) / width))
        table = np.empty((len(distances), width), np.float32)
        table[:, 0::2], table[:, 1::2] = np.sin(distances * rates), np.cos(distances * rates)
        return mx.array(table)[None].astype(self._dtype)

    def _attend(self, x: Any, positions: Any, name: str) -> Any:
        query, key, value = (self._linear(x, f"{name}.linear_{one}") for one in "qkv")
        query = query.reshape(*query.shape[:2], self._heads, -1)
        by_content = (query + self._get(f"{name}.pos_bias_u")).transpose(0, 2, 1, 3)
        by_place = (query + self._get(f"{name}.pos_bias_v")).transpose(0, 2, 1, 3)
        key, value = self._split(key), self._split(value)
        places = self._split(self._linear(positions, f"{name}.linear_pos"))
        scale = 1.0 / math.sqrt(key.shape[-1])
        mask = _by_distance(by_place @ places.transpose(0, 1, 3, 2)) * scale
        y = mx.fast.scaled_dot_product_attention(by_content, key, value, scale=scale, mask=mask)
        return self._linear(y.transpose(0, 2, 1, 3).reshape(x.shape), f"{name}.linear_out")

    def _convolve(self, x: Any, name: str) -> Any:
        x, gate = mx.split(self._pointwise(x, f"{name}.pointwise_conv1"), 2, axis=-1)
        x = x * mx.sigmoid(gate)
        weight = self._get(f"{name}.depthwise_conv.weight")
        x = mx.conv1d(x, weight, padding=(weight.shape[1] - 1) // 2, groups=x.shape[-1])
        x = x + self._get(f"{name}.depthwise_conv.bias")
        return self._pointwise(x * mx.sigmoid(x), f"{name}.pointwise_conv2")

    def _fold_batch_norm(self, name: str, weights: dict[str, Any]) -> None:
        """Fold the batch norm into the convolution before it, in float32."""
        get = {key: weights[f"{name}.{key}"].astype(mx.float32) for key in _norm_of_convolution()}
        scale = get["batch_norm.weight"] * mx.rsqrt(get["batch_norm.running_var"] + _EPSILON)
        before = weights.get(f"{name}.depthwise_conv.bias", mx.zeros(scale.shape)).astype(mx.float32)
        bias = (before - get["batch_norm.running_mean"]) * scale + get["batch_norm.bias"]
        folded = get["depthwise_conv.weight"] * scale[:, None, None]
        self._weights[f"{name}.depthwise_conv.weight"] = folded.astype(self._dtype)
        self._weights[f"{name}.depthwise_conv.bias"] = bias.astype(self._dtype)

    def _forward(self, x: Any, layer: str, name: str) -> Any:
        y = self._linear(self._norm(x, f"{layer}.norm_{name}"), f"{layer}.{name}.linear1")
        return self._linear(y * mx.sigmoid(y), f"{layer}.{name}.linear2")

    def _pointwise(self, x: Any, name: str) -> Any:
        return self._plus_bias(x @ self._get(f"{name}.weight")[:, 0].T, name)

    def _linear(self, x: Any, name: str) -> Any:
        return self._plus_bias(x @ self._get(f"{name}.weight").T, name)

    def _plus_bias(self, x: Any, name: str) -> Any:
        bias = self._weights.get(f"{name}.bias")
        return x if bias is None else x + bias

    def _norm(self, x: Any, name: str) -> Any:
        return mx.fast.layer_norm(x, self._get(f"{name}.weight"), self._get(f"{name}.bias"), _EPSILON)

    def _split(self, x: Any) -> Any:
        return x.reshape(*x.shape[:2], self._heads, -1).transpose(0, 2, 1, 3)

    def _get(self, name: str) -> Any:
        return self._weights[name]


def _norm_of_convolution() -> list[str]:
    return [
        "depthwise_conv.weight",
        *(f"batch_norm.{key}" for key in ("weight", "bias", "running_mean", "running_var")),
    ]


def _by_distance(scores: Any) -> Any:
    """Shift scores by distance, (1, heads, frames, 2 * frames - 1), to scores by frame, (1, heads, frames, frames)."""
    _, heads, frames, distances = scores.shape
    padded = mx.pad(scores, [(0, 0), (0, 0), (0, 0), (1, 0)]).reshape(1, heads, distances + 1, frames)
    return padded[:, :, 1:].reshape(1, heads, frames, distances)[..., :frames]
