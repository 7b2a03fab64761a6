"""Toy models of Canary and GigaAM as ONNX."""

# ruff: noqa: SLF001, RUF001 - the prompt is in private parts of the library; Russian letters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_asr
import pytest
from in_process import job, load, transcribe
from sounds import SPEECH
from toy_parakeets import make_gigaam, make_parakeet

from asrpro_worker.engines.onnx.canary import Canary
from asrpro_worker.engines.onnx.engine import OnnxAsr
from asrpro_worker.errors import WorkerError
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from pathlib import Path

SOUND = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parakeet(tmp_path_factory.mktemp("canary"), "aed", scale=1.5)


@pytest.fixture(scope="module")
def engine(directory: Path) -> OnnxAsr:
    made = OnnxAsr()
    facts = load(made, directory, languages=["en", "de", "fr", "ja"])
    # Only the languages of its vocabulary.
    assert facts.languages == ["de", "en", "fr"]
    can = facts.capabilities
    assert (can.tasks, can.word_timestamps, can.logprobs) == (["transcribe", "translate"], False, True)
    return made


def prompt_languages(engine: OnnxAsr, **fields: Any) -> list[str]:
    """The languages of speech and text in the decoder's prompt."""
    assert isinstance(engine._reader, Canary)
    asr, seen = engine._reader._asr, []
    decode = asr._decode

    def watching(tokens: Any, *rest: Any) -> Any:
        seen.append([asr._vocab[int(token)] for token in tokens[0, 4:6]])
        return decode(tokens, *rest)

    asr._decode = watching
    try:
        transcribe(engine, SPEECH, **fields)
    finally:
        asr._decode = decode
    return seen[0]


@pytest.mark.parametrize(
    ("fields", "languages"),
    [
        ({}, ["<|en|>", "<|en|>"]),
        ({"language": "de"}, ["<|de|>", "<|de|>"]),
        ({"languages": ["fr", "de"]}, ["<|fr|>", "<|fr|>"]),
        ({"language": "de", "task": "translate"}, ["<|de|>", "<|en|>"]),
    ],
)
def test_the_prompt_has_the_languages_of_the_request(
    engine: OnnxAsr, fields: dict[str, Any], languages: list[str]
) -> None:
    assert prompt_languages(engine, **fields) == languages


def test_the_text_equals_that_of_the_library(directory: Path, engine: OnnxAsr) -> None:
    theirs = onnx_asr.load_model("nemo-conformer-aed", directory).with_timestamps().recognize(SOUND, language="en")
    (ours,) = engine.decode([Piece(job(logprobs=True), ((0, len(SOUND)),), SOUND, "en")], lambda: None)
    assert isinstance(ours, Heard)
    (segment,) = ours.segments
    assert segment.text.strip() == theirs.text.strip()
    assert [entry.token for entry in segment.logprobs or []] == theirs.tokens
    logprobs = [entry.logprob for entry in segment.logprobs or []]
    np.testing.assert_allclose(np.array(logprobs), np.array(theirs.logprobs), atol=1e-5)


def test_the_text_of_a_piece_does_not_depend_on_the_other_pieces(engine: OnnxAsr) -> None:
    pieces = [Piece(job(), ((0, size),), SOUND[:size], "en") for size in (32_000, 9_000, 16_000)]
    together = engine.decode(pieces, lambda: None)
    assert together == [engine.decode([piece], lambda: None)[0] for piece in pieces]


def test_word_times_are_rejected(engine: OnnxAsr) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(engine, SPEECH, word_timestamps=True)
    assert error.value.param == "timestamp_granularities"


@pytest.mark.parametrize("name", ["decoder-model.onnx", "vocab.txt"])
def test_a_missing_file_is_named(directory: Path, tmp_path: Path, name: str) -> None:
    for file in directory.iterdir():
        if file.name != name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(WorkerError, match=name):
        load(OnnxAsr(), tmp_path)


def test_gigaam_is_recognized_by_its_files_and_has_word_times(tmp_path: Path) -> None:
    made = OnnxAsr()
    facts = load(made, make_gigaam(tmp_path), languages=["ru"])
    assert (facts.capabilities.word_timestamps, facts.capabilities.hotwords) == (True, True)
    recognition, segments = transcribe(made, SPEECH, word_timestamps=True, hotwords=["Вера"])
    assert recognition.language == "ru"
    assert segments[-1].end <= 11.0
    assert all(segment.words for segment in segments)
    (tmp_path / "v3_e2e_ctc_vocab.txt").unlink()
    with pytest.raises(WorkerError, match=r"v3_e2e_ctc_vocab\.txt is missing"):
        load(OnnxAsr(), tmp_path)
