"""The engine `onnx-asr`, with a toy Parakeet."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import load, transcribe
from sounds import NOISE, SILENCE, SPEECH, write_wav
from toy_parakeets import make_parakeet

from asrpro_worker.audio import decode
from asrpro_worker.engines.onnx.engine import OnnxAsr
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def engine(tdt: Path) -> OnnxAsr:
    made = OnnxAsr()
    facts = load(made, tdt, languages=["en", "de"])
    assert (facts.device, facts.compute_type, facts.languages) == ("cpu", "float32", ["en", "de"])
    return made


def test_words_and_log_probabilities(engine: OnnxAsr) -> None:
    recognition, segments = transcribe(engine, SPEECH, word_timestamps=True, logprobs=True)
    assert (recognition.language, recognition.language_probability) == (None, None)
    assert [segment.id for segment in segments] == list(range(len(segments)))
    last = 0.0
    for segment in segments:
        assert segment.words
        assert segment.logprobs
        assert segment.text == " " + " ".join(word.word for word in segment.words)
        assert last <= segment.start <= segment.words[-1].end <= segment.end <= 11.0
        assert all(0 < (word.probability or 0) <= 1 for word in segment.words)
        assert all(entry.logprob <= 0 for entry in segment.logprobs)
        last = segment.start


def test_a_given_language_is_reported(engine: OnnxAsr) -> None:
    assert transcribe(engine, SPEECH, language="de")[0].language == "de"


def test_long_speech_has_times_of_the_whole_file(engine: OnnxAsr, spool: Path) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        speech = (pcm.read(0, pcm.samples) * 32768).astype(np.int16)
    _, segments = transcribe(engine, write_wav(spool / "upload", np.tile(speech, 8)))
    assert segments[-1].end == pytest.approx(88, abs=2)
    assert len({segment.seek for segment in segments}) >= 3, "several pieces"
    starts = [segment.start for segment in segments]
    assert starts == sorted(starts)


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_no_text(engine: OnnxAsr, path: Path) -> None:
    assert transcribe(engine, path, vad_filter=True)[1] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": "translate"}, None),
        ({"language": "ja"}, "language"),
    ],
)
def test_unsupported_fields_are_rejected(engine: OnnxAsr, fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(engine, SPEECH, **fields)
    assert error.value.param == param


def test_unsupported_hints_are_ignored(engine: OnnxAsr) -> None:
    hinted = transcribe(engine, SPEECH, prompt="Hello", temperature=0.3)
    assert hinted[1] == transcribe(engine, SPEECH)[1]


def test_keywords_change_the_text(tmp_path: Path) -> None:
    engine = OnnxAsr()
    facts = load(engine, make_parakeet(tmp_path, scale=0.03))
    assert facts.capabilities.hotwords
    plain, hinted = (transcribe(engine, SPEECH, hotwords=words)[1] for words in ([], ["g", "j", "m", "p"]))
    assert [segment.text for segment in hinted] != [segment.text for segment in plain]


@pytest.mark.parametrize("fields", [{"language": "ru"}, {"languages": ["ru", "uk"]}])
def test_only_letters_of_the_requested_languages_are_chosen(tmp_path: Path, fields: dict[str, Any]) -> None:
    engine = OnnxAsr()
    load(engine, make_parakeet(tmp_path, scripts=True), languages=["en", "ru", "uk"])
    text = " ".join(segment.text for segment in transcribe(engine, SPEECH, **fields)[1])
    assert set(text) <= set(" джыі.")
    assert "д" in text


def test_devices_are_tested(engine: OnnxAsr) -> None:
    assert engine.probe("cpu").usable
    for device in ("cuda:0", "mps", "toaster"):
        probed = engine.probe(device)
        assert (probed.usable, probed.reason is None) == (False, False)


def test_a_quantized_export_decodes_one_piece_at_a_time(tdt: Path, tmp_path: Path) -> None:
    for file in tdt.iterdir():
        shutil.copy(file, tmp_path / file.name.replace(".onnx", ".int8.onnx"))
    assert load(OnnxAsr(), tmp_path, quantization="int8", concurrency=4).batch == 1
    assert load(OnnxAsr(), tdt, concurrency=4).batch == 4
