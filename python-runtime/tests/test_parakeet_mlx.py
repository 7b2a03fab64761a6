"""The engine `parakeet-mlx` with a toy model on the CPU. nemo_engine compares its tokens with NeMo's."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import load, transcribe
from sounds import NOISE, SILENCE, SPEECH

from asrpro_worker.engines.parakeet.engine import ParakeetMlx
from asrpro_worker.engines.parakeet.files import check_directory
from asrpro_worker.engines.parakeet.tiny import write_tiny_parakeet
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from pathlib import Path

mx = pytest.importorskip("mlx.core", reason="MLX runs on Macs, and on Linux for tests")

from asrpro_worker.engines.parakeet.model import Parakeet  # noqa: E402 - needs MLX


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_parakeet(tmp_path_factory.mktemp("parakeet"))


@pytest.fixture(scope="module")
def engine(toy: Path) -> ParakeetMlx:
    made = ParakeetMlx()
    facts = load(made, toy, languages=["en", "de"])
    assert (facts.device, facts.compute_type, facts.languages) == ("cpu", "float32", ["en", "de"])
    return made


def test_words_and_log_probabilities(engine: ParakeetMlx) -> None:
    recognition, segments = transcribe(engine, SPEECH, word_timestamps=True, logprobs=True)
    assert (recognition.language, recognition.language_probability) == (None, None)
    assert segments
    last = 0.0
    for segment in segments:
        assert segment.words
        assert segment.logprobs
        assert segment.text == " " + " ".join(word.word for word in segment.words)
        assert last <= segment.start <= segment.words[-1].end <= segment.end <= 11.0
        assert all(0 < (word.probability or 0) <= 1 for word in segment.words)
        last = segment.start


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_no_text(engine: ParakeetMlx, path: Path) -> None:
    assert transcribe(engine, path, vad_filter=True)[1] == []


def test_the_text_of_a_piece_does_not_depend_on_the_batch(toy: Path) -> None:
    model = Parakeet(check_directory(str(toy)), "float32")
    random = np.random.default_rng(0)
    sounds = [random.standard_normal(16_000 * seconds).astype(np.float32) for seconds in (1, 4, 2)]

    def tokens_of(at: list[int]) -> list[list[tuple[Any, ...]]]:
        found = model.recognize([sounds[index] for index in at], [model._choices.plain() for _ in at])  # noqa: SLF001
        return [[(one.text, one.start, one.end) for one in tokens] for tokens in found]

    assert tokens_of([0, 1, 2]) == [*tokens_of([0]), *tokens_of([1]), *tokens_of([2])]


def test_keywords_change_the_text(engine: ParakeetMlx) -> None:
    plain, hinted = (transcribe(engine, SPEECH, hotwords=words)[1] for words in ([], ["g", "j", "m", "p"]))
    assert [segment.text for segment in hinted] != [segment.text for segment in plain]


def test_the_gpu_of_a_mac_uses_bfloat16(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerError, match="no Apple GPU"):
        load(ParakeetMlx(), toy, device="mps")
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    gpu = ParakeetMlx()
    facts = load(gpu, toy, device="mps")
    assert (facts.device, facts.compute_type, facts.batch) == ("mps", "bfloat16", 8)
    assert transcribe(gpu, SPEECH)[1]
    assert gpu.probe("mps").usable


def test_devices_are_tested(engine: ParakeetMlx) -> None:
    assert engine.probe("cpu").usable
    for device in ("cuda:0", "mps"):
        probed = engine.probe(device)
        assert (probed.usable, probed.reason is None) == (False, False)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("encoder", {"self_attention_model": "rel_pos_local_attn"}, "rel_pos_local_attn"),
        ("preprocessor", {"normalize": "all_features"}, "all_features"),
        ("encoder", {"n_layers": 2}, r"has no encoder\.layers\.1"),
        ("joint", {"vocabulary": None}, "no vocabulary"),
    ],
)
def test_an_unsupported_configuration_is_named(
    toy: Path, tmp_path: Path, part: str, change: dict[str, Any], message: str
) -> None:
    damaged = shutil.copytree(toy, tmp_path / "toy")
    config = json.loads((damaged / "config.json").read_text())
    config[part] |= change
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(WorkerError, match=message) as refused:
        load(ParakeetMlx(), damaged)
    assert refused.value.code == "model_broken"


def test_truncated_weights_are_named(toy: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(toy, tmp_path / "toy")
    weights = damaged / "model.safetensors"
    for content in (weights.read_bytes()[:-2000], b"garbage " * 1000):
        weights.write_bytes(content)
        with pytest.raises(WorkerError, match=r"model\.safetensors cannot be read") as refused:
            load(ParakeetMlx(), damaged)
        assert refused.value.code == "model_broken"
