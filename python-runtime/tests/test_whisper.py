"""The engine `faster-whisper` with a toy model: languages, times, fallbacks and cancellation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import toy_models
from in_process import at_work, hear, job, load, transcribe
from sounds import NOISE, SILENCE, SPEECH, noise, write_wav

from asrpro_worker.audio import decode
from asrpro_worker.batcher import Batcher
from asrpro_worker.engines import measures
from asrpro_worker.engines.whisper import decoding
from asrpro_worker.engines.whisper.backend import MAX_TEXT_TOKENS, Aligned, Generated
from asrpro_worker.engines.whisper.decoding import temperatures
from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.errors import JobCancelledError, WorkerError
from asrpro_worker.messages import Progress
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.pcm import Pcm


@pytest.fixture(scope="module")
def engine(whisper: Path) -> Whisper:
    made = Whisper()
    load(made, whisper)
    return made


@pytest.fixture(autouse=True)
def _without_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy model is never certain, and higher temperatures sample at random."""
    monkeypatch.setattr(decoding, "_TEMPERATURES", (0.0,))


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    made = Whisper()
    facts = load(made, toy_models.make_whisper(tmp_path_factory.mktemp("english"), multilingual=False))
    assert facts.languages == ["en"]
    assert (facts.capabilities.tasks, facts.capabilities.detects_language) == (["transcribe"], False)
    return made


def counted(monkeypatch: pytest.MonkeyPatch, engine: Whisper, call: str) -> list[int]:
    """The number of pieces in each later call of the backend."""
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    plain, calls = getattr(backend, call), []

    def counting(pieces: list[Any], *rest: Any) -> Any:
        calls.append(len(pieces))
        return plain(pieces, *rest)

    monkeypatch.setattr(backend, call, counting)
    return calls


def brief(monkeypatch: pytest.MonkeyPatch, engine: Whisper) -> None:
    """A toy model writes until the decoder is full; here its texts are truncated."""
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    plain = backend.generate

    def short(*arguments: Any) -> list[Generated]:
        return [Generated(text.tokens[:20], text.logprob, 0.0) for text in plain(*arguments)]

    monkeypatch.setattr(backend, "generate", short)


@pytest.mark.parametrize(("seconds", "pieces"), [(5, 1), (29, 1), (34, 2), (50, 3)])
def test_language_detection_needs_no_encoder_pass(
    engine: Whisper, spool: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, pieces: int
) -> None:
    brief(monkeypatch, engine)
    encoded = counted(monkeypatch, engine, "encode")
    detected = counted(monkeypatch, engine, "detect_language")
    audio = write_wav(spool / "upload", noise(seconds))
    for language in (None, "de"):
        encoded.clear()
        result, _ = transcribe(engine, audio, language=language)
        assert pieces <= sum(encoded) <= pieces + 1
        assert result.language in ((language,) if language else ("en", "de", "fr"))
        assert result.language_probability == (None if language else pytest.approx(0.5, abs=0.5))
    assert sum(detected) == sum(encoded), "once per piece, if no language is given"


def test_segments_are_in_order_and_join_to_the_text(
    engine: Whisper, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief(monkeypatch, engine)
    audio = write_wav(spool / "upload", noise(40))
    _, timed = transcribe(engine, audio, language="en")
    _, untimed = transcribe(engine, audio, language="en", segment_timestamps=False)
    assert "".join(segment.text for segment in timed) == "".join(segment.text for segment in untimed)
    assert [segment.id for segment in timed] == list(range(len(timed)))
    last = 0.0
    for segment in timed:
        assert last <= segment.start <= segment.end <= 40
        assert (segment.words, segment.logprobs) == (None, None)
        assert segment.tokens
        last = segment.start


def test_word_times_are_floats_within_their_segments(
    engine: Whisper, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief(monkeypatch, engine)
    _, segments = transcribe(engine, write_wav(spool / "upload", noise(8)), language="en", word_timestamps=True)
    words = [(segment, word) for segment in segments for word in segment.words or []]
    assert words
    for segment, word in words:
        assert word.word == word.word.strip()
        assert segment.start <= word.start <= word.end <= segment.end <= 8
        assert {type(value) for value in (word.start, word.end, word.probability)} == {float}


def test_a_piece_that_fills_the_decoder_is_split(engine: Whisper, pcm: Pcm, monkeypatch: Any) -> None:
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    lengths = iter([448, 20, 20])
    tokens = np.random.default_rng(0).integers(33, 120, 448).tolist()

    def generate(encoded: list[Any], *_: Any) -> list[Generated]:
        return [Generated(tokens[: next(lengths)], -0.5, 0.0) for _ in encoded]

    monkeypatch.setattr(backend, "generate", generate)
    pcm.append(noise(20))
    _, segments = hear(engine, pcm, job(language="en", segment_timestamps=False))
    assert len(segments) == 2
    assert segments[0].start == 0.0
    assert segments[0].end == segments[1].start
    assert segments[1].end == pytest.approx(20.0)


def test_a_failed_piece_is_decoded_again_in_its_own_language(
    engine: Whisper, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_TEMPERATURES", (0.0, 0.2))
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    tokens: Any = engine._decoder._tokens  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    attempts: list[tuple[str, float]] = []
    detections: list[str] = []

    def generate(encoded: list[Any], prompts: list[list[int]], options: Any) -> list[Generated]:
        german = tokens.start("de", "transcribe")[1] in prompts[0]
        attempts.append(("de" if german else "en", options.temperature))
        # The first piece is English. The second is German, so its English text is improbable.
        return [Generated([40, 41], -0.1 if german or len(attempts) == 1 else -2.0, 0.0) for _ in encoded]

    def detect(encoded: list[Any]) -> list[dict[str, float]]:
        detections.append("detected")
        return [{"en": 0.9} if len(detections) < 3 else {"de": 0.9} for _ in encoded]

    monkeypatch.setattr(backend, "generate", generate)
    monkeypatch.setattr(backend, "detect_language", detect)
    pcm.append(noise(34))
    result, segments = hear(engine, pcm, job())
    assert attempts == [("en", 0.0), ("en", 0.0), ("de", 0.0)]
    assert (result.language, len(segments)) == ("en", 2)
    attempts.clear()
    hear(engine, pcm, job(language="en"))
    assert {language for language, _ in attempts} == {"en"}, "a requested language is not changed"


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_no_text(engine: Whisper, path: Path) -> None:
    result, segments = transcribe(engine, path, vad_filter=True)
    assert (result.language, segments) == (None, [])


def test_speech_is_heard_with_vad(engine: Whisper) -> None:
    assert transcribe(engine, SPEECH, vad_filter=True)[1]


def test_progress_is_reported_before_each_temperature(
    engine: Whisper, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asrpro_worker.job._PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(decoding, "_TEMPERATURES", (0.0, 0.2, 0.4))
    monkeypatch.setattr(decoding, "_MIN_LOGPROB", 1.0)
    monkeypatch.setattr(decoding, "is_silence", lambda _: False)
    calls = counted(monkeypatch, engine, "generate")
    pcm.append(noise(2))
    sent: list[WorkerMessage] = []
    hear(engine, pcm, job(sent, language="en"))
    assert calls == [1, 1, 1, 1], "once with a short window, then with the full one"
    assert len([message for message in sent if isinstance(message, Progress)]) > len(calls)


def test_a_cancelled_job_stops_before_the_next_call(engine: Whisper, pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm.append(noise(100))
    running = job(language="en")
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    encode = backend.encode

    def cancelling(features: list[Any]) -> Any:
        running.cancel()
        return encode(features)

    monkeypatch.setattr(backend, "encode", cancelling)
    generated = counted(monkeypatch, engine, "generate")
    with pytest.raises(JobCancelledError):
        hear(engine, pcm, running)
    assert generated == []


def test_two_batches_are_decoded_at_the_same_time_with_two_threads(whisper: Path) -> None:
    assert load(Whisper(), whisper, threads=1).in_flight() == 1
    two = load(Whisper(), whisper, threads=2)
    assert (two.in_flight(), two.batch) == (2, 2)
    assert load(Whisper(), whisper, threads=2, concurrency=1).in_flight() == 1, "a single piece needs one call"


@pytest.mark.parametrize(("threads", "beam_size"), [(1, 5), (2, 1)])
def test_the_text_does_not_depend_on_other_jobs_in_the_batch(
    whisper: Path, spool: Path, monkeypatch: pytest.MonkeyPatch, threads: int, beam_size: int
) -> None:
    fields: dict[str, Any] = {"language": "en", "beam_size": beam_size}
    engine = Whisper()
    load(engine, whisper, threads=threads)
    brief(monkeypatch, engine)
    files = [write_wav(spool / str(seconds), noise(seconds)) for seconds in (3, 45, 8, 20)]
    alone = [[segment.text for segment in transcribe(engine, file, **fields)[1]] for file in files]
    sizes = counted(monkeypatch, engine, "generate")
    with at_work(engine, 4) as batcher, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda file: transcribe(engine, file, batcher, **fields)[1], [*files, *files]))
    assert [[segment.text for segment in segments] for segments in together] == [*alone, *alone]
    # With two batches at a time, each may take pieces as they arrive.
    assert threads == 2 or max(sizes) > 1, "the jobs shared batches"


def test_pieces_of_a_batch_that_failed_late_are_decoded_from_the_start(
    whisper: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Whisper()
    load(engine, whisper)
    brief(monkeypatch, engine)
    files = [write_wav(spool / str(seconds), noise(seconds)) for seconds in (27, 28)]
    alone = [[segment.text for segment in transcribe(engine, file, language="en")[1]] for file in files]
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    plain, sizes = backend.align, counted(monkeypatch, engine, "generate")

    def failing(encoded: list[Any], *rest: Any) -> Any:
        if len(sizes) == 1:
            raise MemoryError
        return plain(encoded, *rest)

    monkeypatch.setattr(backend, "align", failing)
    batcher = Batcher(engine, 2, lambda: None)
    jobs = [job(job=file.name, language="en") for file in files]
    for running, file in zip(jobs, files, strict=True):
        with decode(str(file), lambda _: None) as pcm:
            batcher.join(running)
            batcher.submit(Piece(running, ((0, pcm.samples),), pcm.read(0, pcm.samples), "en"))
    batcher.work()
    texts = [running.outcome()[1] for running in jobs]
    assert sizes[0] == 2
    assert [[segment.text for segment in heard.segments] for heard in texts if isinstance(heard, Heard)] == alone


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"language": "xx"}, "unsupported_language", "language"),
        ({"language": "english"}, "unsupported_language", "language"),
        ({"logprobs": True}, "unsupported_value", "include"),
    ],
)
def test_unsupported_fields_are_rejected(engine: Whisper, fields: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(engine, SPEECH, **fields)
    assert (error.value.code, error.value.param) == (code, param)


@pytest.mark.parametrize("fields", [{"language": "de"}, {"task": "translate"}])
def test_english_models_reject_other_languages(english: Whisper, fields: dict[str, Any]) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(english, SPEECH, **fields)
    assert error.value.code in ("unsupported_language", "unsupported_value")


def test_english_models_report_english(english: Whisper) -> None:
    assert transcribe(english, SPEECH)[0].language == "en"


def test_shortened_models_do_not_translate(whisper: Path) -> None:
    assert load(Whisper(), whisper, id="whisper-small").capabilities.tasks == ["transcribe"], "two layers"


@pytest.mark.parametrize(
    ("requested", "expected"),
    [(None, [0.0, 0.2, 0.4]), (0.0, [0.0, 0.2, 0.4]), (0.2, [0.2, 0.4]), (0.3, [0.3, 0.4]), (1.0, [1.0])],
)
def test_fallback_starts_at_the_requested_temperature(
    monkeypatch: pytest.MonkeyPatch, requested: float | None, expected: list[float]
) -> None:
    monkeypatch.setattr(decoding, "_TEMPERATURES", (0.0, 0.2, 0.4))
    assert temperatures(requested) == expected


def test_loops_are_removed() -> None:
    assert decoding.without_longest_loop([7, *[1, 2, 3] * 9, 8]) == [7, 1, 2, 3, 8]
    assert decoding.without_longest_loop([1, 2, 1, 2, 5]) == [1, 2, 1, 2, 5], "people do say things twice"


def test_an_improbable_text_without_clear_speech_is_dropped(
    engine: Whisper, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    text = Generated([40, 41], -1.2, 0.4)
    monkeypatch.setattr(backend, "generate", lambda encoded, *_: [text for _ in encoded])
    pcm.append(noise(5))
    assert hear(engine, pcm, job(language="en"))[1] == []


def test_only_languages_of_the_request_are_detected(engine: Whisper, pcm: Pcm, monkeypatch: Any) -> None:
    brief(monkeypatch, engine)
    pcm.append(noise(40))
    for allowed in ("de", "fr", "en"):
        assert hear(engine, pcm, job(languages=[allowed]))[0].language == allowed


def test_omitted_speech_is_decoded_again(engine: Whisper, pcm: Pcm, monkeypatch: Any) -> None:
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    letters = np.random.default_rng(0).integers(33, 120, 400).tolist()
    lengths = iter([3, 40, 220])
    monkeypatch.setattr("asrpro_worker.cuts.speech_probabilities", lambda *_: iter([np.full(437, 0.9, np.float32)]))
    # Of 14 s of speech, the text covers the first two.
    monkeypatch.setattr(backend, "align", lambda encoded, *_: [Aligned([0, 40, 80, 100], [0.9] * 3) for _ in encoded])
    monkeypatch.setattr(
        backend, "generate", lambda encoded, *_: [Generated(letters[: next(lengths)], -0.5, 0.0) for _ in encoded]
    )
    pcm.append(noise(14))
    _, segments = hear(engine, pcm, job(language="en", segment_timestamps=False))
    assert [segment.start for segment in segments] == [0.0, pytest.approx(2.0, abs=1.1)]
    assert segments[-1].end == pytest.approx(14.0, abs=0.1)
    assert next(lengths, None) is None


def test_a_piece_is_split_where_its_language_changes(engine: Whisper, pcm: Pcm, monkeypatch: Any) -> None:
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    tokens: Any = engine._decoder._tokens  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    # Three utterances of 4 s with pauses of 1 s. The last is German, and the model detects German for the whole piece.
    speech = np.concatenate([np.full(125, 0.9), np.full(31, 0.1)] * 3).astype(np.float32)
    monkeypatch.setattr("asrpro_worker.cuts.speech_probabilities", lambda *_: iter([speech]))
    detected = iter(["de", "en", "en", "de", "en", "en", "en", "de"])
    monkeypatch.setattr(
        backend,
        "detect_language",
        lambda _: [{"en": 0.01, "de": 0.01, "fr": 0.01, next(detected): 0.97}],
    )
    prompts: list[int] = []
    letters = np.random.default_rng(0).integers(33, 120, 200).tolist()

    def generate(_: list[Any], given: list[list[int]], __: Any) -> list[Generated]:
        prompts.extend(prompt[1] for prompt in given)
        return [Generated(letters, -0.1, 0.0) for _ in given]

    monkeypatch.setattr(backend, "generate", generate)
    pcm.append(noise(15))
    result, segments = hear(engine, pcm, job(segment_timestamps=False))
    assert prompts == [tokens.start(language, "transcribe")[1] for language in ("en", "de")]
    assert result.language == "en", "the language with the most speech"
    assert segments[1].start == pytest.approx(9.5, abs=0.6)
    assert next(detected, None) is None


def test_a_text_that_ctranslate2_truncated_is_not_delivered(engine: Whisper, pcm: Pcm, monkeypatch: Any) -> None:
    backend: Any = engine._decoder._backend  # type: ignore[union-attr]  # noqa: SLF001 - the seam
    monkeypatch.setattr(decoding, "_MIN_LOGPROB", -1000.0)
    monkeypatch.setattr(measures, "_MAX_COMPRESSION", 1000.0)
    plain = backend.generate
    lengths: list[int] = []

    def counting(*arguments: Any) -> list[Generated]:
        texts: list[Generated] = plain(*arguments)
        lengths.extend(len(text.tokens) for text in texts)
        return texts

    monkeypatch.setattr(backend, "generate", counting)
    pcm.append(noise(2.5))
    _, segments = hear(engine, pcm, job(language="en", segment_timestamps=False))
    assert lengths[0] == MAX_TEXT_TOKENS, "a toy model writes until the decoder is full"
    assert len(segments) == 2, "both halves"
