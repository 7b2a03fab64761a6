"""Makes Parakeet models of random weights for onnx-asr. Their text is nonsense, but the same every time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("tdt", "rnnt", "ctc", "aed")

FEATURES, _DIM, _STATE = 128, 16, 8
_DURATIONS = 5
_LETTERS = [f"{'▁' if index % 3 == 0 else ''}{chr(97 + index % 26)}" for index in range(38)]
# Tokens 38 and 39 of the default vocabulary. With `scripts`, Cyrillic and Greek tokens precede the blank.
_TOKENS = [*_LETTERS, ".", "<blk>"]
_FOREIGN = ["▁д", "ж", "▁λ", "ы", "і"]  # noqa: RUF001
# The tokens of Canary's prompt, and its end token.
CANARY = [
    "<|endoftext|>",
    "▁",
    "<|startofcontext|>",
    "<|startoftranscript|>",
    "<|emo:undefined|>",
    "<|en|>",
    "<|de|>",
    "<|fr|>",
    "<|pnc|>",
    "<|nopnc|>",
    "<|noitn|>",
    "<|notimestamp|>",
    "<|nodiarize|>",
]


def make_parakeet(
    directory: Path, kind: str = "tdt", quantization: str = "", *, scripts: bool = False, scale: float = 0.3
) -> Path:
    """A directory of one of KINDS: a convolution of stride 8, and an embedding of the last token.

    `quantization` changes only the names of the files, for example ".int8". A small `scale` makes scores close.
    """
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    tokens = [*_TOKENS[:-1], *(_FOREIGN if scripts else []), *(CANARY if kind == "aed" else []), _TOKENS[-1]]

    def weights(name: str, *shape: int, scale: float = 0.3) -> Any:
        return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)

    encoder = [weights("w", _DIM, FEATURES, 9)]
    wide = len(tokens) + (_DURATIONS if kind == "tdt" else 0)
    decoder = [
        weights("from_encoder", _DIM, wide, scale=scale),
        weights("embeddings", len(tokens), _STATE),
        weights("from_target", _STATE, wide, scale=scale),
    ]
    graphs = {
        "tdt": lambda: {"encoder-model": _encoder(encoder), "decoder_joint-model": _joint(decoder)},
        "rnnt": lambda: {"encoder-model": _encoder(encoder), "decoder_joint-model": _joint(decoder)},
        "ctc": lambda: {"model": _ctc(encoder + decoder[:1])},
        "aed": lambda: {"encoder-model": _aed_encoder(encoder), "decoder-model": _aed_decoder(decoder)},
    }
    for name, graph in graphs[kind]().items():
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, directory / f"{name}{quantization}.onnx")
    vocabulary = "".join(f"{token} {index}\n" for index, token in enumerate(tokens))
    (directory / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    config = {"model_type": f"nemo-conformer-{kind}", "features_size": FEATURES, "subsampling_factor": 8}
    (directory / "config.json").write_text(
        json.dumps({**config, "max_sequence_length": 20} if kind == "aed" else config)
    )
    return directory


def make_gigaam(directory: Path, name: str = "v3_e2e_ctc") -> Path:
    """A GigaAM CTC model, with half the subsampling of a Parakeet and its own names of files and tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    tokens = ["<unk>", "▁", *"абвгдежзиклмнопрст", ".", "<blk>"]
    weights = [
        numpy_helper.from_array(random.standard_normal((_DIM, 64, 5)).astype(np.float32), "w"),
        numpy_helper.from_array(random.standard_normal((_DIM, len(tokens))).astype(np.float32), "from_encoder"),
    ]
    nodes = [
        _node("Conv", ["features", "w"], ["heard"], strides=[4], kernel_shape=[5], pads=[2, 2]),
        _node("Transpose", ["heard"], ["frames"], perm=[0, 2, 1]),
        _node("MatMul", ["frames", "from_encoder"], ["scores"]),
        _node("LogSoftmax", ["scores"], ["log_probs"], axis=-1),
    ]
    sound = [_tensor("features", "b", 64, "t"), _tensor("feature_lengths", "b", kind=TensorProto.INT64)]
    graph = helper.make_graph(nodes, "ctc", sound, [_tensor("log_probs")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, directory / f"{name}.onnx")
    vocabulary = "".join(f"{token} {index}\n" for index, token in enumerate(tokens))
    (directory / f"{name}_vocab.txt").write_text(vocabulary, encoding="utf-8")
    config = {"model_type": "gigaam", "version": "v3", "features_size": 64, "subsampling_factor": 4}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def _number(name: str, value: Any) -> Any:
    return numpy_helper.from_array(np.array(value, np.int64), name)


def _tensor(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape or None)


_node = helper.make_node
_SOUND = [_tensor("audio_signal", "b", FEATURES, "t"), _tensor("length", "b", kind=TensorProto.INT64)]


def _convolution(output: str) -> Any:
    return _node("Conv", ["audio_signal", "w"], [output], strides=[8], kernel_shape=[9], pads=[4, 4])


def _counts(output: str) -> list[Any]:
    return [
        _node("Sub", ["length", "one"], ["less"]),
        _node("Div", ["less", "eight"], ["frames"]),
        _node("Add", ["frames", "one"], [output]),
    ]


def _encoder(values: list[Any]) -> Any:
    made = [_tensor("outputs", "b", _DIM, "t2"), _tensor("encoded_lengths", "b", kind=TensorProto.INT64)]
    nodes = [_convolution("outputs"), *_counts("encoded_lengths")]
    return helper.make_graph(nodes, "encoder", _SOUND, made, [*values, _number("one", 1), _number("eight", 8)])


def _ctc(values: list[Any]) -> Any:
    nodes = [
        _convolution("heard"),
        _node("Transpose", ["heard"], ["frames"], perm=[0, 2, 1]),
        _node("MatMul", ["frames", "from_encoder"], ["scores"]),
        _node("LogSoftmax", ["scores"], ["logprobs"], axis=-1),
    ]
    return helper.make_graph(nodes, "ctc", _SOUND, [_tensor("logprobs")], values)


def _joint(values: list[Any]) -> Any:
    state = [_tensor(f"input_states_{index}", 1, "b", _STATE) for index in (1, 2)]
    return helper.make_graph(
        [
            _node("Transpose", ["encoder_outputs"], ["e"], perm=[0, 2, 1]),
            _node("MatMul", ["e", "from_encoder"], ["heard"]),
            _node("Cast", ["targets"], ["target"], to=TensorProto.INT64),
            _node("Gather", ["embeddings", "target"], ["g"]),
            _node("MatMul", ["g", "from_target"], ["said"]),
            _node("Add", ["heard", "said"], ["sum"]),
            _node("Unsqueeze", ["sum", "axis"], ["outputs"]),
            _node("Identity", ["input_states_1"], ["output_states_1"]),
            _node("Identity", ["input_states_2"], ["output_states_2"]),
            _node("Cast", ["target_length"], ["prednet_lengths"], to=TensorProto.INT32),
        ],
        "decoder",
        [
            _tensor("encoder_outputs", "b", _DIM, "t"),
            _tensor("targets", "b", "u", kind=TensorProto.INT32),
            _tensor("target_length", "b", kind=TensorProto.INT32),
            *state,
        ],
        [
            _tensor("outputs"),
            _tensor("prednet_lengths", "b", kind=TensorProto.INT32),
            *(_tensor(f"output_states_{index}", 1, "b", _STATE) for index in (1, 2)),
        ],
        [*values, _number("axis", [2])],
    )


def _aed_encoder(values: list[Any]) -> Any:
    made = [_tensor("encoder_embeddings", "b", "t2", _DIM), _tensor("encoder_mask", "b", "t2", kind=TensorProto.INT64)]
    nodes = [
        _convolution("heard"),
        _node("Transpose", ["heard"], ["encoder_embeddings"], perm=[0, 2, 1]),
        *_counts("count"),
        _node("Unsqueeze", ["count", "one"], ["counts"]),
        _node("Shape", ["encoder_embeddings"], ["longest"], start=1, end=2),
        _node("Squeeze", ["longest"], ["width"]),
        _node("Range", ["zero", "width", "single"], ["places"]),
        _node("Less", ["places", "counts"], ["heard_of"]),
        _node("Cast", ["heard_of"], ["encoder_mask"], to=TensorProto.INT64),
    ]
    numbers = [_number("one", [1]), _number("eight", [8]), _number("zero", 0), _number("single", 1)]
    return helper.make_graph(nodes, "encoder", _SOUND, made, [*values, *numbers])


def _aed_decoder(values: list[Any]) -> Any:
    """The scores depend on the mean of the sound and the last token; the length of the memory counts the tokens."""
    return helper.make_graph(
        [
            _node("Gather", ["embeddings", "input_ids"], ["g"]),
            _node("MatMul", ["g", "from_target"], ["said"]),
            _node("ReduceMean", ["encoder_embeddings"], ["mean"], axes=[1], keepdims=1),
            _node("MatMul", ["mean", "from_encoder"], ["heard"]),
            _node("Add", ["said", "heard"], ["sum"]),
            _node("LogSoftmax", ["sum"], ["logits"], axis=-1),
            _node("Unsqueeze", ["g", "first"], ["layer"]),
            _node("Concat", ["decoder_mems", "layer"], ["decoder_hidden_states"], axis=2),
            _node("Cast", ["encoder_mask"], ["unused"], to=TensorProto.FLOAT),
        ],
        "decoder",
        [
            _tensor("input_ids", "b", "u", kind=TensorProto.INT64),
            _tensor("encoder_embeddings", "b", "t2", _DIM),
            _tensor("encoder_mask", "b", "t2", kind=TensorProto.INT64),
            _tensor("decoder_mems", 1, "b", "m", _STATE),
        ],
        [_tensor("logits"), _tensor("decoder_hidden_states", 1, "b", "m2", _STATE)],
        [*values, _number("first", [0])],
    )
