"""Damaged and missing model files: a typed error names the file, and no engine uses the network."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import onnx
import pytest
import toy_models
from in_process import load

from asrpro_worker.engines.onnx.engine import OnnxAsr
from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asrpro_worker.engines.protocol import Engine

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
GARBAGE = bytes(range(256)) * 64

Damage = bytes | None
"""New content of a file; None removes it."""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def refusal(engine: Engine, path: Path, **settings: Any) -> WorkerError:
    with pytest.raises(WorkerError) as error:
        load(engine, path, **settings)
    assert str(path) not in error.value.message
    return error.value


def damage(file: Path, content: Damage) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.bin", None),
        ("model.bin", b""),
        ("model.bin", b"\6\0"),
        ("model.bin", GARBAGE),
        ("model.bin", LFS_POINTER),
        ("config.json", None),
        ("config.json", b"{}"),
        ("config.json", b"{"),
        ("config.json", LFS_POINTER),
        ("tokenizer.json", None),
        ("tokenizer.json", b""),
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", b'{"version":"1.0"}'),
        ("vocabulary.json", None),
        ("vocabulary.json", b"["),
        ("vocabulary.json", b"\xff\xfe\x00"),
        ("preprocessor_config.json", b"{"),
        ("preprocessor_config.json", b'{"feature_size": 128}'),
    ],
)
def test_damaged_whisper(own_whisper: Path, name: str, content: Damage) -> None:
    damage(own_whisper / name, content)
    error = refusal(Whisper(), own_whisper)
    assert (error.code, name in error.message) == ("model_broken", True)
    assert "download it again" in error.message or "preprocessor" in name


def test_truncated_weights(own_whisper: Path) -> None:
    weights = own_whisper / "model.bin"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    error = refusal(Whisper(), own_whisper)
    assert (error.code, "model.bin" in error.message) == ("model_broken", True)


def test_a_short_vocabulary(own_whisper: Path) -> None:
    (own_whisper / "vocabulary.json").write_text(json.dumps(["a", "b"]))
    error = refusal(Whisper(), own_whisper)
    assert (error.code, "vocabulary" in error.message) == ("model_broken", True)


def test_a_model_of_128_mels_needs_no_preprocessor_config(tmp_path: Path) -> None:
    directory = toy_models.make_whisper(tmp_path / "large", mels=128)
    (directory / "preprocessor_config.json").unlink()
    assert load(Whisper(), directory).device == "cpu"


def test_a_translation_model_is_no_whisper(own_whisper: Path) -> None:
    spec = b"TransformerSpec\0"
    content = (6).to_bytes(4, "little") + len(spec).to_bytes(2, "little") + spec + GARBAGE
    (own_whisper / "model.bin").write_bytes(content)
    error = refusal(Whisper(), own_whisper)
    assert (error.code, "TransformerSpec" in error.message) == ("model_broken", True)


@pytest.mark.parametrize("make", [Whisper, OnnxAsr])
def test_a_directory_that_is_missing_or_a_file(make: Callable[[], Engine], tmp_path: Path) -> None:
    assert refusal(make(), tmp_path / "Systran" / "faster-whisper-tiny").code == "model_broken"
    (tmp_path / "file").touch()
    assert refusal(make(), tmp_path / "file").code == "model_broken"


@pytest.mark.parametrize("make", [Whisper, OnnxAsr])
@pytest.mark.parametrize("device", ["mps", "cuda:7", "toaster", "cuda:x"])
def test_a_device_that_is_not_there(make: Callable[[], Engine], whisper: Path, tdt: Path, device: str) -> None:
    error = refusal(make(), whisper if make is Whisper else tdt, device=device)
    assert error.code == "device_unavailable"


def test_a_compute_type_that_the_cpu_lacks(whisper: Path) -> None:
    assert refusal(Whisper(), whisper, compute_type="float16").code == "device_unavailable"
    assert refusal(Whisper(), whisper, compute_type="nonsense").code == "device_unavailable"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("config.json", b"{}"),
        ("config.json", b'{"model_type": "bert"}'),
        ("config.json", b'{"model_type": "nemo-conformer-tdt", "features_size": 80}'),
        ("config.json", b'{"model_type": "nemo-conformer-tdt"}'),
        ("vocab.txt", None),
        ("vocab.txt", b"\xff\xfe"),
        ("vocab.txt", b"a 0\nb 1\n"),
        ("encoder-model.onnx", None),
        ("encoder-model.onnx", b""),
        ("encoder-model.onnx", GARBAGE),
        ("encoder-model.onnx", LFS_POINTER),
        ("decoder_joint-model.onnx", None),
        ("decoder_joint-model.onnx", GARBAGE),
    ],
)
def test_damaged_onnx(own_tdt: Path, name: str, content: Damage) -> None:
    damage(own_tdt / name, content)
    error = refusal(OnnxAsr(), own_tdt)
    assert (error.code, name in error.message) == ("model_broken", True)


def test_truncated_graph(own_tdt: Path) -> None:
    graph = own_tdt / "encoder-model.onnx"
    graph.write_bytes(graph.read_bytes()[:30_000])
    error = refusal(OnnxAsr(), own_tdt)
    assert (error.code, "encoder-model.onnx" in error.message) == ("model_broken", True)


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_weights_beside_a_graph(own_tdt: Path, content: Damage) -> None:
    graph = own_tdt / "encoder-model.onnx"
    weights = {"save_as_external_data": True, "location": "encoder-model.onnx.data", "size_threshold": 0}
    onnx.save(onnx.load(graph), graph, **weights)
    load(OnnxAsr(), own_tdt)
    damage(own_tdt / "encoder-model.onnx.data", content)
    error = refusal(OnnxAsr(), own_tdt)
    assert (error.code, "weights beside an .onnx file" in error.message) == ("model_broken", True)


def test_a_missing_quantization(tdt: Path) -> None:
    error = refusal(OnnxAsr(), tdt, quantization="int8")
    assert (error.code, "encoder-model.int8.onnx is missing" in error.message) == ("model_broken", True)


def test_the_folder_of_another_engine(whisper: Path, tdt: Path) -> None:
    assert "model.bin" in refusal(Whisper(), tdt).message
    assert "config.json" in refusal(OnnxAsr(), whisper).message
