"""Whisper as ONNX with real weights, quantized to int8."""

# ruff: noqa: SLF001 - compares private parts of the engine with the library and the tokenizer

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_asr
import pytest
from in_process import job, load, transcribe
from real_whisper import BASE
from sounds import AUDIO, SPEECH
from tokenizers import Tokenizer

from asrpro_worker.audio import decode
from asrpro_worker.engines.measures import compression_ratio
from asrpro_worker.engines.onnx.engine import OnnxAsr
from asrpro_worker.engines.onnx.whisper import OnnxWhisper
from asrpro_worker.engines.onnx.whole_piece import whole_piece
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from pathlib import Path


def loaded(directory: Path) -> OnnxAsr:
    made = OnnxAsr()
    capabilities = load(made, directory, quantization="quantized").capabilities
    assert (capabilities.prompt, capabilities.hotwords, capabilities.temperature) == (True, True, False)
    return made


@pytest.fixture(scope="module")
def base(base_onnx: Path) -> OnnxAsr:
    return loaded(base_onnx)


@pytest.fixture(scope="module")
def tiny(tiny_onnx: Path) -> OnnxAsr:
    return loaded(tiny_onnx)


def whisper(engine: OnnxAsr) -> OnnxWhisper:
    assert isinstance(engine._reader, OnnxWhisper)
    return engine._reader


def text(engine: OnnxAsr, path: Path = SPEECH, **fields: Any) -> str:
    return "".join(segment.text for segment in transcribe(engine, path, **fields)[1])


@pytest.mark.parametrize(("weights", "directory"), [("base", "base_onnx"), ("tiny", "tiny_onnx")])
def test_without_options_the_text_equals_that_of_the_library(
    request: pytest.FixtureRequest, weights: str, directory: str
) -> None:
    model = onnx_asr.load_model("whisper", request.getfixturevalue(directory), quantization="quantized")
    with decode(str(SPEECH), lambda _: None) as pcm:
        theirs = model.recognize(pcm.read(0, pcm.samples))
    assert text(request.getfixturevalue(weights)) == f" {theirs}"


@pytest.mark.parametrize(
    "source", [" Kowalczyk, and 3.5 llamas. I'm here; you've got_it!", " Müller, 東京 🎧 ça va? Привет  мир\n", ""]
)
def test_encoding_equals_that_of_the_tokenizer(base: OnnxAsr, source: str) -> None:
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    assert whisper(base).encode(source) == tokenizer.encode(source, add_special_tokens=False).ids


def test_prompt_and_keywords_change_the_text_but_are_not_copied_into_it(base: OnnxAsr) -> None:
    plain = text(base)
    assert text(base, prompt="AND SO MY FELLOW AMERICANS ASK NOT WHAT YOUR COUNTRY CAN DO FOR") != plain
    many = [f"Kowalczyk number {index}" for index in range(60)]
    assert text(base, hotwords=many) == plain
    assert "Americans, ask not" in plain
    assert "Americans ask not" in text(base, hotwords=["ask not"])


def test_only_requested_languages_are_detected(base: OnnxAsr) -> None:
    german = next((AUDIO / "multilingual" / "de").glob("*.*"))
    assert text(base, german, languages=["fr", "de"]) == text(base, german, language="de")
    assert text(base, german, languages=["fr", "it"]) != text(base, german)


def test_a_repetitive_piece_is_split_and_its_text_dropped(base: OnnxAsr) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        sound = pcm.read(0, pcm.samples)
    piece = Piece(job(), ((0, len(sound)),), sound, None)
    repetitive = "for a country " * 20
    halves = whole_piece(piece, repetitive)
    assert isinstance(halves, list)
    assert sum(len(half.samples) for half in halves) == len(sound)
    short = Piece(job(), ((0, 16_000),), sound[:16_000], None)
    assert whole_piece(short, repetitive) == Heard([])
    # English speech decoded as German runs into loops.
    _, segments = transcribe(base, SPEECH, language="de")
    assert len(segments) > 1
    assert all(compression_ratio(segment.text.strip()) <= 2.4 for segment in segments)


def test_pieces_of_different_requests_in_one_batch(base: OnnxAsr) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        # The whole sound decoded as German runs into loops, which take long.
        sound = pcm.read(0, 4 * 16_000)
    requests: list[dict[str, Any]] = [{}, {"prompt": "A COUNTRY. AMERICANS."}, {"languages": ["de"]}]
    pieces = [Piece(job(**fields), ((0, len(sound)),), sound, None) for fields in requests]
    alone = [base.decode([piece], lambda: None)[0] for piece in pieces]
    together = base.decode(pieces, lambda: None)
    assert all(isinstance(one, Heard) for one in alone)
    assert together == alone
