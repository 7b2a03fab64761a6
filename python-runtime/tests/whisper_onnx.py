"""Converts a Whisper directory in CTranslate2 format to the ONNX directory that onnx-asr's type `whisper` loads.

It reads model.bin (float16 or float32) and tokenizer.json, and writes graphs with the inputs and outputs of optimum and
onnx-community, quantized to int8, so that the ONNX engine can be tested with real speech.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from asrpro_worker.engines.whisper.model_bin import read_model_bin

if TYPE_CHECKING:
    from pathlib import Path

Weights = dict[str, Any]


def read_ct2(path: Path) -> Weights:
    """All variables of a CTranslate2 model.bin by name, floats as float32."""
    variables = read_model_bin(path).items()
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in variables}


class Graph:
    """Collects nodes and weights. Branches of an If share weights; `prefix` keeps the names of their nodes unique."""

    def __init__(self, weights: Weights, ct2: Weights, *, int8: bool, prefix: str = "") -> None:
        self.weights, self.ct2, self.int8, self.prefix = weights, ct2, int8, prefix
        self.nodes: list[Any] = []
        self.dim, self.heads = len(ct2["decoder/layer_norm/gamma"]), int(ct2["decoder/num_heads"])

    def layers(self, side: str) -> range:
        return range(sum(f"{side}/layer_{i}/ffn/linear_0/weight" in self.ct2 for i in range(99)))

    def graph(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        weights = {} if self.prefix else self.weights  # a branch uses the weights of the outer graph
        tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
        return helper.make_graph(self.nodes, name, inputs, outputs, tensors)

    def __call__(self, op: str, *inputs: str, outs: int = 1, name: str | None = None, **attrs: Any) -> Any:
        name = name or f"{self.prefix}{op}_{len(self.nodes)}"
        made = [name, *(f"{name}_{i}" for i in range(1, outs))]
        self.nodes.append(helper.make_node(op, inputs, made, name=f"node_{name}", **attrs))
        return made[0] if outs == 1 else made

    def const(self, name: str, array: Any) -> str:
        self.weights.setdefault(name, np.asarray(array, order="C"))
        return name

    def ints(self, *values: int) -> str:
        return self.const(f"ints{values}", np.array(values, np.int64))

    def matmul(self, x: str, name: str, weight: Any) -> Any:
        """x @ weight. In int8, the weight is quantized per output channel, and x per tensor at run time."""
        if not self.int8:
            return self("MatMul", x, self.const(name, weight))
        # Symmetric, but stored as uint8 around 128: u8 x s8 saturates on CPUs without VNNI, u8 x u8 does not.
        scale = np.abs(weight).max(0).clip(1e-8) / 127
        self.const(name, (np.round(weight / scale) + 128).astype(np.uint8))
        xq, x_scale, x_zero = self("DynamicQuantizeLinear", x, outs=3)
        y = self("MatMulInteger", xq, name, x_zero, self.const("u8_128", np.uint8(128)))
        return self("Mul", self("Cast", y, to=T.FLOAT), self("Mul", x_scale, self.const(f"{name}/scale", scale)))

    def linear(self, x: str, name: str, rows: slice = slice(None), tag: str = "") -> Any:
        y = self.matmul(x, f"{name}/weight{tag}", self.ct2[f"{name}/weight"][rows].T)
        return self("Add", y, self.const(f"{name}/bias{tag}", self.ct2[f"{name}/bias"][rows]))

    def norm(self, x: str, name: str, out: str | None = None) -> Any:
        scale, bias = (self.const(f"{name}/{part}", self.ct2[f"{name}/{part}"]) for part in ("gamma", "beta"))
        return self("LayerNormalization", x, scale, bias, epsilon=1e-5, name=out)

    def split(self, x: str) -> Any:
        shape = self.ints(0, 0, self.heads, self.dim // self.heads)  # [batch, time, heads, dim / heads]
        return self("Transpose", self("Reshape", x, shape), perm=[0, 2, 1, 3])

    def qkv(self, x: str, name: str) -> Any:
        return map(self.split, self("Split", self.linear(x, name), outs=3, axis=2, num_outputs=3))

    def attend(self, q: str, k: str, v: str, mask: str | None = None) -> Any:
        q = self("Mul", q, self.const("scale", np.float32((self.dim // self.heads) ** -0.5)))
        scores = self("MatMul", q, self("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self("Add", scores, mask) if mask else scores
        y = self("Transpose", self("MatMul", self("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return self("Reshape", y, self.ints(0, 0, self.dim))

    def ffn(self, x: str, layer: str) -> Any:
        y = self("Gelu", self.linear(self.norm(x, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0"))
        return self("Add", x, self.linear(y, f"{layer}/ffn/linear_1"))


def info(name: str, *shape: int | str | None, kind: int = T.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def encoder(ct2: Weights, *, int8: bool) -> Any:
    g = Graph({}, ct2, int8=int8)
    x, positions = "input_features", ct2["encoder/position_encodings/encodings"]
    for conv, stride in (("conv1", 1), ("conv2", 2)):
        weights = (g.const(f"{conv}/{part}", ct2[f"encoder/{conv}/{part}"]) for part in ("weight", "bias"))
        x = g("Gelu", g("Conv", x, *weights, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = g("Add", g("Transpose", x, perm=[0, 2, 1]), g.const("positions", positions))
    for i in g.layers("encoder"):
        layer = f"encoder/layer_{i}"
        y = g.attend(*g.qkv(g.norm(x, f"{layer}/self_attention/layer_norm"), f"{layer}/self_attention/linear_0"))
        x = g.ffn(g("Add", x, g.linear(y, f"{layer}/self_attention/linear_1")), layer)
    g.norm(x, "encoder/layer_norm", out="last_hidden_state")
    inputs = [info("input_features", "batch_size", ct2["encoder/conv1/weight"].shape[1], 2 * len(positions))]
    return g.graph("encoder", inputs, [info("last_hidden_state", "batch_size", *positions.shape)])


def decoder_branch(ct2: Weights, weights: Weights, states: list[str], *, int8: bool, cached: bool) -> Any:
    """One branch of the If: the first call without past, or a later call with it."""
    p = "cached_" if cached else "first_"
    g = Graph(weights, ct2, int8=int8, prefix=p)
    table, positions = ct2["decoder/embeddings/weight"].T, ct2["decoder/position_encodings/encodings"]
    past = g("Shape", "past_key_values.0.decoder.key", start=2, end=3) if cached else g.ints(0)
    end = g("Add", past, g("Shape", "input_ids", start=1, end=2))
    # The table has the shape [dim, vocabulary] for the output projection; the embedding reads columns of the same copy.
    x = g("Transpose", g("Gather", "embeddings", "input_ids", axis=1), perm=[1, 2, 0])
    if int8:
        x = g("Sub", g("Cast", x, to=T.FLOAT), g.const("f32_128", np.float32(128)))
        x = g("Mul", x, g("Unsqueeze", g("Gather", "embeddings/scale", "input_ids"), g.ints(-1)))
    x = g("Add", x, g("Slice", g.const("positions", positions), past, end, g.ints(0)))
    causal = g.const("causal", np.triu(np.full([len(positions)] * 2, -1e9, np.float32), 1))
    mask = g("Slice", g("Slice", causal, past, end, g.ints(0)), g.ints(0), end, g.ints(1))
    kinds, empty = ("key", "value"), g.const("empty", np.zeros((0, g.heads, 1, g.dim // g.heads), np.float32))
    for i in g.layers("decoder"):
        layer, state = f"decoder/layer_{i}", f"past_key_values.{i}"
        q, *kv = g.qkv(g.norm(x, f"{layer}/self_attention/layer_norm"), f"{layer}/self_attention/linear_0")
        if cached:
            kv = [g("Concat", f"{state}.decoder.{kind}", new, axis=2) for kind, new in zip(kinds, kv, strict=True)]
        kv = [g("Identity", new, name=f"{p}{i}.decoder.{kind}") for kind, new in zip(kinds, kv, strict=True)]
        x = g("Add", x, g.linear(g.attend(q, kv[0], kv[1], mask), f"{layer}/self_attention/linear_1"))
        q = g.split(g.linear(g.norm(x, f"{layer}/attention/layer_norm"), f"{layer}/attention/linear_0"))
        for n, kind in enumerate(kinds):
            new, name, rows = empty, f"{layer}/attention/linear_1", slice(n * g.dim, (n + 1) * g.dim)
            if not cached:  # like optimum's, a later call returns it empty; the caller keeps the first
                new = g.split(g.linear("encoder_hidden_states", name, rows, f"/{kind}"))
            new = g("Identity", new, name=f"{p}{i}.encoder.{kind}")
            kv[n] = f"{state}.encoder.{kind}" if cached else new
        x = g.ffn(g("Add", x, g.linear(g.attend(q, *kv), f"{layer}/attention/linear_2")), layer)
    logits = g("Identity", g.matmul(g.norm(x, "decoder/layer_norm"), "embeddings", table), name=f"{p}logits")
    return g.graph(f"{p}call", [], [info(logits, *[None] * 3), *(info(p + s, *[None] * 4) for s in states)])


def decoder(ct2: Weights, *, int8: bool) -> Any:
    g, vocab = Graph({}, ct2, int8=int8), len(ct2["decoder/embeddings/weight"])
    kinds = ("decoder.key", "decoder.value", "encoder.key", "encoder.value")
    states = [f"{i}.{kind}" for i in g.layers("decoder") for kind in kinds]
    branches = {
        f"{kind}_branch": decoder_branch(ct2, g.weights, states, int8=int8, cached=kind == "then")
        for kind in ("then", "else")
    }
    names = ["logits", *(f"present.{state}" for state in states)]
    g.nodes.append(helper.make_node("If", ["use_cache_branch"], names, name="use_cache", **branches))
    inputs = [info("input_ids", "batch_size", "sequence_length", kind=T.INT64)]
    inputs += [info("encoder_hidden_states", "batch_size", "encoder_length", g.dim)]
    outputs = [info("logits", "batch_size", "sequence_length", vocab)]
    for s in states:
        shape = g.heads, f"{s}_length", g.dim // g.heads
        inputs += [info(f"past_key_values.{s}", "batch_size", *shape)]
        outputs += [info(f"present.{s}", f"{s}_batch", shape[0], f"{s}_present_length", shape[2])]
    return g.graph("decoder", [*inputs, info("use_cache_branch", 1, kind=T.BOOL)], outputs)


def make_whisper_onnx(source: Path, target: Path, quantization: str = "quantized") -> Path:
    """Convert the Whisper model in `source`; `quantization` is the suffix of the files."""
    ct2 = read_ct2(source / "model.bin")
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = len(ct2["decoder/embeddings/weight"])
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    # tokenizer.json may lack the timestamps, which follow <|notimestamps|> up to the end of the vocabulary.
    first = added["<|notimestamps|>"] + 1
    added |= {f"<|{(token - first) / 50:.2f}|>": token for token in range(first, vocab)}
    config = {"model_type": "whisper", "vocab_size": vocab, "num_mel_bins": ct2["encoder/conv1/weight"].shape[1]}
    target.mkdir(parents=True, exist_ok=True)
    for name, content in ("vocab", tokenizer["model"]["vocab"]), ("added_tokens", added), ("config", config):
        (target / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    for name, graph in ("encoder_model", encoder), ("decoder_model_merged", decoder):
        # Opset 20 has Gelu; it needs onnxruntime 1.17 or later.
        model = helper.make_model(graph(ct2, int8=True), opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.save(model, target / f"{name}_{quantization}.onnx")
    return target
