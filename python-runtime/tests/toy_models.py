"""Models of random weights, made in a second: they say nonsense, the same every time, on the real code paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ["en", "de", "fr"]


def make_whisper(directory: Path, *, multilingual: bool = True, mels: int = 80) -> Path:
    """A Whisper directory in CTranslate2 form with a tokenizer of bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    languages = LANGUAGES if multilingual else ["en"]
    # CTranslate2 calls a vocabulary with the empty token multilingual
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) + ([""] if multilingual else [])
    special = special_tokens(languages)
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    named = special[: special.index("<|0.00|>")]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in named])
    tokenizer.save(str(directory / "tokenizer.json"))
    write_tiny_whisper(directory, alphabet + special, languages, mels)
    settings = {"feature_size": mels, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    return directory


_FEATURES, _DIM, _VOCABULARY, _DURATIONS, _STATE = 128, 16, 40, 5, 8


def make_tdt(directory: Path, quantization: str = "") -> Path:
    """A Parakeet-TDT directory in ONNX form: a convolution of stride 8, and an embedding of the last token.

    `quantization` is in the names of the files only, for example ".int8".
    """
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array((random.standard_normal(shape) * 0.3).astype(np.float32), name)

    def number(name: str, value: Any) -> Any:
        return numpy_helper.from_array(np.array(value, np.int64), name)

    def tensor(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, shape or None)

    node = helper.make_node
    state = [tensor(f"input_states_{index}", 1, "b", _STATE) for index in (1, 2)]
    encoder = helper.make_graph(
        [
            node("Conv", ["audio_signal", "w"], ["outputs"], strides=[8], kernel_shape=[9], pads=[4, 4]),
            node("Sub", ["length", "one"], ["less"]),
            node("Div", ["less", "eight"], ["frames"]),
            node("Add", ["frames", "one"], ["encoded_lengths"]),
        ],
        "encoder",
        [tensor("audio_signal", "b", _FEATURES, "t"), tensor("length", "b", kind=TensorProto.INT64)],
        [tensor("outputs", "b", _DIM, "t2"), tensor("encoded_lengths", "b", kind=TensorProto.INT64)],
        [weights("w", _DIM, _FEATURES, 9), number("one", 1), number("eight", 8)],
    )
    decoder = helper.make_graph(
        [
            node("Transpose", ["encoder_outputs"], ["e"], perm=[0, 2, 1]),
            node("MatMul", ["e", "from_encoder"], ["heard"]),
            node("Cast", ["targets"], ["target"], to=TensorProto.INT64),
            node("Gather", ["embeddings", "target"], ["g"]),
            node("MatMul", ["g", "from_target"], ["said"]),
            node("Add", ["heard", "said"], ["sum"]),
            node("Unsqueeze", ["sum", "axis"], ["outputs"]),
            node("Identity", ["input_states_1"], ["output_states_1"]),
            node("Identity", ["input_states_2"], ["output_states_2"]),
            node("Cast", ["target_length"], ["prednet_lengths"], to=TensorProto.INT32),
        ],
        "decoder",
        [
            tensor("encoder_outputs", "b", _DIM, "t"),
            tensor("targets", "b", "u", kind=TensorProto.INT32),
            tensor("target_length", "b", kind=TensorProto.INT32),
            *state,
        ],
        [
            tensor("outputs"),
            tensor("prednet_lengths", "b", kind=TensorProto.INT32),
            *(tensor(f"output_states_{index}", 1, "b", _STATE) for index in (1, 2)),
        ],
        [
            weights("from_encoder", _DIM, _VOCABULARY + _DURATIONS),
            weights("embeddings", _VOCABULARY, _STATE),
            weights("from_target", _STATE, _VOCABULARY + _DURATIONS),
            number("axis", [2]),
        ],
    )
    for name, graph in (("encoder-model", encoder), ("decoder_joint-model", decoder)):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, directory / f"{name}{quantization}.onnx")
    letters = [f"{'▁' if index % 3 == 0 else ''}{chr(97 + index % 26)}" for index in range(_VOCABULARY - 2)]
    tokens = [*letters, ".", "<blk>"]
    vocabulary = "".join(f"{token} {index}\n" for index, token in enumerate(tokens))
    (directory / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    config = {"model_type": "nemo-conformer-tdt", "features_size": _FEATURES, "subsampling_factor": 8}
    (directory / "config.json").write_text(json.dumps(config))
    return directory
