"""Whisper as ONNX with real weights, quantized to int8."""

# ruff: noqa: SLF001 - compares private parts of the engine with the library and the tokenizer

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import job, transcribe
from real_whisper import BASE
from sounds import AUDIO, SPEECH
from tokenizers import Tokenizer

from asrpro_worker.audio import decode
from asrpro_worker.engines.measures import compression_ratio
from asrpro_worker.engines.onnx.whisper import OnnxWhisper
from asrpro_worker.engines.onnx.whole_piece import whole_piece
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.onnx.engine import OnnxAsr
    from asrpro_worker.piece import Outcome


def whisper(engine: OnnxAsr) -> OnnxWhisper:
    assert isinstance(engine._reader, OnnxWhisper)
    return engine._reader


def text(engine: OnnxAsr, path: Path = SPEECH, **fields: Any) -> str:
    return "".join(segment.text for segment in transcribe(engine, path, **fields)[1])


def sound_of(path: Path) -> NDArray[np.float32]:
    with decode(str(path), lambda _: None) as pcm:
        return pcm.read(0, pcm.samples)


@pytest.mark.parametrize("weights", ["base_onnx", "tiny_onnx"])
def test_without_options_the_text_equals_that_of_the_library(request: pytest.FixtureRequest, weights: str) -> None:
    engine = request.getfixturevalue(weights)
    sound = sound_of(SPEECH)
    [theirs] = whisper(engine)._asr.recognize_batch(sound[None], np.array([len(sound)]))
    assert text(engine) == f" {theirs.text}"


@pytest.mark.parametrize(
    "source", [" Kowalczyk, and 3.5 llamas. I'm here; you've got_it!", " Müller, 東京 🎧 ça va? Привет  мир\n", ""]
)
def test_encoding_equals_that_of_the_tokenizer(base_onnx: OnnxAsr, source: str) -> None:
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    assert whisper(base_onnx).encode(source) == tokenizer.encode(source, add_special_tokens=False).ids


def test_prompt_and_keywords_change_the_text_but_are_not_copied_into_it(tiny_onnx: OnnxAsr) -> None:
    plain = text(tiny_onnx)
    prompted = text(tiny_onnx, prompt="hello mister president yes of course i agree well then that is what i said")
    assert "fellow Americans" in plain
    assert "fellow americans" in prompted
    assert "president" not in prompted
    many = [f"Kowalczyk number {index}" for index in range(60)]
    assert text(tiny_onnx, hotwords=many) == plain
    name = AUDIO / "names" / "01.opus"
    assert "Tkachenko" not in text(tiny_onnx, name)
    assert "Tkachenko" in text(tiny_onnx, name, hotwords=["Tkachenko"])


def test_each_piece_of_a_batch_has_the_languages_of_its_request(base_onnx: OnnxAsr) -> None:
    sound = sound_of(AUDIO / "multilingual" / "de" / "cheetah_test_de.wav")
    requests: list[dict[str, Any]] = [
        {"languages": ["fr", "de"]},
        {"language": "de"},
        {"languages": ["fr", "it"]},
        {"language": "de", "prompt": "DIE WERBUNG. VERMITTELT."},
    ]
    pieces = [Piece(job(**fields), ((0, len(sound)),), sound, fields.get("language")) for fields in requests]
    texts = [heard_text(outcome) for outcome in base_onnx.decode(pieces, lambda: None)]
    detected, german, other, prompted = texts
    assert "Werbung" in german
    assert detected == german
    assert german not in (other, prompted)


def heard_text(outcome: Outcome) -> str:
    assert isinstance(outcome, Heard)
    [segment] = outcome.segments
    return segment.text


def test_a_repetitive_piece_is_split_and_its_text_dropped(tiny_onnx: OnnxAsr, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = sound_of(SPEECH)
    piece = Piece(job(), ((0, len(sound)),), sound, None)
    repetitive = "for a country " * 20
    halves = whole_piece(piece, repetitive)
    assert isinstance(halves, list)
    assert sum(len(half.samples) for half in halves) == len(sound)
    short = Piece(job(), ((0, 16_000),), sound[:16_000], None)
    assert whole_piece(short, repetitive) == Heard([])
    # The decoder runs into a loop for the whole piece only.
    asr = whisper(tiny_onnx)._asr
    plain, loops = asr._decoding, iter([whisper(tiny_onnx).encode(repetitive)])

    def looping(encoded: Any, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        loop = next(loops, None)
        return plain(encoded, tokens) if loop is None else np.hstack((tokens, [loop]))

    monkeypatch.setattr(asr, "_decoding", looping)
    _, segments = transcribe(tiny_onnx, SPEECH)
    assert len(segments) == 2
    assert all(compression_ratio(segment.text.strip()) <= 2.4 for segment in segments)
