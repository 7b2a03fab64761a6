"""The engine `faster-whisper`, with a toy model: what is around the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import toy_models
from faster_whisper import WhisperModel
from in_process import job, load, transcribe
from sounds import NOISE, SILENCE, SPEECH, noise, write_wav

from asrpro_worker.engines.faster_whisper import FasterWhisper, temperatures
from asrpro_worker.engines.whisper_job import JobModel
from asrpro_worker.errors import JobCancelledError, WorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.pcm import Pcm


@pytest.fixture(scope="module")
def engine(whisper: Path) -> FasterWhisper:
    made = FasterWhisper()
    load(made, whisper)
    return made


@pytest.fixture(autouse=True)
def _without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy is never sure, and higher temperatures throw dice."""
    monkeypatch.setattr("asrpro_worker.engines.faster_whisper._LADDER", (0.0,))


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> FasterWhisper:
    made = FasterWhisper()
    facts = load(made, toy_models.make_whisper(tmp_path_factory.mktemp("english"), multilingual=False))
    assert facts.languages == ["en"]
    assert (facts.capabilities.tasks, facts.capabilities.detects_language) == (["transcribe"], False)
    return made


@pytest.mark.parametrize(("seconds", "windows"), [(5, 1), (30, 1), (31, 2), (70, 3)])
def test_one_encoder_pass_for_each_window(
    engine: FasterWhisper, spool: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, windows: int
) -> None:
    passes: list[Any] = []
    encode = WhisperModel.encode

    def counted(model: WhisperModel, features: Any) -> Any:
        passes.append(features)
        return encode(model, features)

    monkeypatch.setattr(WhisperModel, "encode", counted)
    # a beginning without a language and one with it: finding it costs nothing
    for language in (None, "de"):
        passes.clear()
        monkeypatch.setattr(JobModel, "_split_segments_by_timestamps", one_segment)
        recognition, _ = transcribe(engine, write_wav(spool / "upload", noise(seconds)), language=language)
        assert len(passes) == windows
        assert recognition.language in ("en", "de", "fr")
        assert recognition.language_probability == (pytest.approx(1.0) if language else pytest.approx(0.5, abs=0.5))


def one_segment(_: JobModel, **window: Any) -> tuple[list[dict[str, Any]], int, bool]:
    """A toy's time marks are random; here each window is heard whole."""
    end = window["time_offset"] + window["segment_duration"]
    segment = {"seek": window["seek"], "start": window["time_offset"], "end": end, "tokens": window["tokens"]}
    return [segment], window["seek"] + window["segment_size"], True


def test_segments_are_whispers(engine: FasterWhisper, spool: Path) -> None:
    _, segments = transcribe(engine, write_wav(spool / "upload", noise(40)), language="en")
    assert [segment.id for segment in segments] == list(range(len(segments)))
    assert len(segments) > 1
    for segment in segments:
        assert 0 <= segment.start <= segment.end <= 40
        assert segment.words is None
        assert segment.logprobs is None
        assert segment.tokens


def test_words_are_plain_numbers_without_spaces_around(engine: FasterWhisper, spool: Path) -> None:
    _, segments = transcribe(engine, write_wav(spool / "upload", noise(8)), language="en", word_timestamps=True)
    words = [word for segment in segments for word in segment.words or []]
    assert words
    assert all(word.word == word.word.strip() for word in words)
    assert {type(value) for word in words for value in (word.start, word.end, word.probability)} == {float}


def test_a_last_window_of_a_few_frames_has_no_word_times(engine: FasterWhisper, spool: Path) -> None:
    audio = write_wav(spool / "upload", noise(30 + 200 / 16_000))
    _, segments = transcribe(engine, audio, language="en", word_timestamps=True)
    assert segments


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_no_text(engine: FasterWhisper, path: Path) -> None:
    recognition, segments = transcribe(engine, path, vad_filter=True)
    assert (recognition.language, segments) == (None, [])


def test_speech_is_heard_with_vad(engine: FasterWhisper) -> None:
    assert transcribe(engine, SPEECH, vad_filter=True)[1]


def test_progress_is_told_and_cancel_heard_between_windows(
    engine: FasterWhisper, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asrpro_worker.job._PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(JobModel, "_split_segments_by_timestamps", one_segment)
    pcm.append(noise(100))
    sent: list[WorkerMessage] = []
    running = job(sent, language="en")
    segments = engine.transcribe(running, pcm).segments
    next(segments)
    next(segments)
    positions = [getattr(message, "position", None) for message in sent]
    assert positions[-2:] == [0.0, 30.0]
    running.cancel()
    with pytest.raises(JobCancelledError):
        next(segments)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"language": "xx"}, "unsupported_language", "language"),
        ({"language": "english"}, "unsupported_language", "language"),
        ({"logprobs": True}, "unsupported_value", "include"),
    ],
)
def test_what_it_cannot_do_is_refused(engine: FasterWhisper, fields: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(engine, SPEECH, **fields)
    assert (error.value.code, error.value.param) == (code, param)


@pytest.mark.parametrize("fields", [{"language": "de"}, {"task": "translate"}])
def test_english_models_know_english_only(english: FasterWhisper, fields: dict[str, Any]) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(english, SPEECH, **fields)
    assert error.value.code in ("unsupported_language", "unsupported_value")


def test_english_models_say_english(english: FasterWhisper) -> None:
    assert transcribe(english, SPEECH)[0].language == "en"


@pytest.mark.parametrize("name", ["whisper-large-v3-turbo", "distil-large-v3"])
def test_shortened_models_do_not_translate(whisper: Path, name: str) -> None:
    assert load(FasterWhisper(), whisper, id=name).capabilities.tasks == ["transcribe"]
    assert load(FasterWhisper(), whisper, id="whisper-small").capabilities.tasks == ["transcribe"], "two layers tell"


def test_commands_in_a_prompt_are_left_out(engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    plain = JobModel.transcribe
    monkeypatch.setattr(JobModel, "transcribe", lambda *a, **k: (seen.update(k), plain(*a, **k))[1])
    transcribe(engine, SPEECH, prompt="a<|endoftext|>b ", hotwords=["x", "<|de|>"], language="en", temperature=0.5)
    assert (seen["initial_prompt"], seen["hotwords"], seen["temperature"]) == ("ab", "x,", [0.5])
    transcribe(engine, SPEECH, prompt=" ", language="en", temperature=0.0)
    assert (seen["initial_prompt"], seen["hotwords"], seen["temperature"]) == (None, None, [0.0])


@pytest.mark.parametrize(
    ("asked", "ladder"),
    [(None, [0.0, 0.2, 0.4]), (0.0, [0.0, 0.2, 0.4]), (0.2, [0.2, 0.4]), (0.3, [0.3, 0.4]), (1.0, [1.0])],
)
def test_the_ladder_of_temperatures_begins_where_asked(
    monkeypatch: pytest.MonkeyPatch, asked: float | None, ladder: list[float]
) -> None:
    monkeypatch.setattr("asrpro_worker.engines.faster_whisper._LADDER", (0.0, 0.2, 0.4))
    assert temperatures(asked) == ladder
