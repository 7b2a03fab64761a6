"""Writes a Parakeet model of random weights in MLX format, 0.3 MB, to test a device with."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_DIM, _MELS, _CHANNELS, _KERNEL = 32, 80, 8, 5
_DURATIONS = [0, 1, 2, 3, 4]
_VOCABULARY = [f"{'▁' if index % 3 == 0 else ''}{chr(97 + index % 26)}" for index in range(38)] + ["."]


def write_tiny_parakeet(directory: Path) -> Path:
    """Write a TDT model, `config.json` and `model.safetensors`, the same bytes every time. Returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    weights: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, *shape: int) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = normal(*shape), normal(shape[0])

    linear("encoder.pre_encode.conv.0", _CHANNELS, 3, 3, 1)
    for at in (2, 5):
        linear(f"encoder.pre_encode.conv.{at}", _CHANNELS, 3, 3, 1)
        linear(f"encoder.pre_encode.conv.{at + 1}", _CHANNELS, 1, 1, _CHANNELS)
    linear("encoder.pre_encode.out", _DIM, _CHANNELS * _MELS // 8)
    layer = "encoder.layers.0"
    for name in ("feed_forward1", "self_att", "conv", "feed_forward2", "out"):
        weights[f"{layer}.norm_{name}.weight"] = np.ones(_DIM, np.float32)
        weights[f"{layer}.norm_{name}.bias"] = np.zeros(_DIM, np.float32)
    for name in ("feed_forward1", "feed_forward2"):
        linear(f"{layer}.{name}.linear1", 2 * _DIM, _DIM)
        linear(f"{layer}.{name}.linear2", _DIM, 2 * _DIM)
    for name in ("linear_q", "linear_k", "linear_v", "linear_out"):
        linear(f"{layer}.self_attn.{name}", _DIM, _DIM)
    weights[f"{layer}.self_attn.linear_pos.weight"] = normal(_DIM, _DIM)
    weights[f"{layer}.self_attn.pos_bias_u"] = normal(2, _DIM // 2)
    weights[f"{layer}.self_attn.pos_bias_v"] = normal(2, _DIM // 2)
    linear(f"{layer}.conv.pointwise_conv1", 2 * _DIM, 1, _DIM)
    linear(f"{layer}.conv.depthwise_conv", _DIM, _KERNEL, 1)
    linear(f"{layer}.conv.pointwise_conv2", _DIM, 1, _DIM)
    linear(f"{layer}.conv.batch_norm", _DIM)
    weights[f"{layer}.conv.batch_norm.running_mean"] = normal(_DIM)
    weights[f"{layer}.conv.batch_norm.running_var"] = np.ones(_DIM, np.float32)
    weights["decoder.prediction.embed.weight"] = normal(len(_VOCABULARY) + 1, _DIM)
    lstm = "decoder.prediction.dec_rnn.lstm.0"
    weights[f"{lstm}.Wx"], weights[f"{lstm}.Wh"] = normal(4 * _DIM, _DIM), normal(4 * _DIM, _DIM)
    weights[f"{lstm}.bias"] = normal(4 * _DIM)
    linear("joint.enc", _DIM, _DIM)
    linear("joint.pred", _DIM, _DIM)
    linear("joint.joint_net.2", len(_VOCABULARY) + 1 + len(_DURATIONS), _DIM)
    write_safetensors(directory / "model.safetensors", weights)
    (directory / "config.json").write_text(json.dumps(_config()), encoding="utf-8")
    return directory


def write_safetensors(file: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Write float32 arrays. MLX could do this too, but is not installed everywhere where models are made."""
    header, end = {}, 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        for array in arrays.values():
            out.write(np.ascontiguousarray(array, np.float32).tobytes())


def _config() -> dict[str, object]:
    return {
        "target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel",
        "preprocessor": {
            "sample_rate": 16000,
            "normalize": "per_feature",
            "window_size": 0.025,
            "window_stride": 0.01,
            "window": "hann",
            "features": _MELS,
            "n_fft": 512,
        },
        "encoder": {
            "feat_in": _MELS,
            "n_layers": 1,
            "d_model": _DIM,
            "n_heads": 2,
            "subsampling": "dw_striding",
            "subsampling_factor": 8,
            "self_attention_model": "rel_pos",
            "conv_kernel_size": _KERNEL,
            "xscaling": False,
        },
        "decoder": {"vocab_size": len(_VOCABULARY), "prednet": {"pred_hidden": _DIM, "pred_rnn_layers": 1}},
        "joint": {"vocabulary": _VOCABULARY, "jointnet": {"joint_hidden": _DIM, "activation": "relu"}},
        "decoding": {"model_type": "tdt", "durations": _DURATIONS, "greedy": {"max_symbols": 10}},
    }
