"""Whisper with MLX compared with CTranslate2. MLX runs on the CPU here and reports a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import hear, job, load
from real_whisper import WHISPER
from sounds import SPEECH

from asrpro_worker.audio import decode
from asrpro_worker.engines.whisper import decoding, mlx_devices
from asrpro_worker.engines.whisper.backend import MAX_TEXT_TOKENS, Options
from asrpro_worker.engines.whisper.ctranslate2_backend import CTranslate2Backend
from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.engines.whisper.features import FRAMES, window_frames
from asrpro_worker.engines.whisper.model_bin import read_model_bin
from asrpro_worker.engines.whisper.tiny import write_tiny_whisper
from asrpro_worker.engines.whisper.warping import first_frames
from asrpro_worker.errors import WorkerError
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.pcm import Pcm

mx = pytest.importorskip("mlx.core", reason="MLX runs on Macs, and on Linux for tests")

from asrpro_worker.engines.whisper.mlx_backend import MlxBackend  # noqa: E402 - needs MLX


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)


@pytest.fixture
def sounds() -> list[Any]:
    """Features of three pieces of noise."""
    random = np.random.default_rng(0)
    return [random.normal(size=(80, FRAMES)).astype(np.float32) for _ in range(3)]


@pytest.fixture
def prompt(whisper: Path) -> list[int]:
    """The tokens of a prompt followed by the commands."""
    vocabulary = MlxBackend(whisper, "float32")._vocabulary  # noqa: SLF001 - the names of the commands
    commands = ("startofprev", "startoftranscript", "en", "transcribe", "notimestamps")
    before, *start = (vocabulary.index(f"<|{name}|>") for name in commands)
    return [before, *range(40, 48), *start]


@pytest.mark.usefixtures("mac")
def test_real_speech_gives_the_text_and_words_of_ctranslate2(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a CPU a window of 30 s takes MLX thirteen seconds. mac.real.test.ts loads real weights with the warm-up.
    monkeypatch.setattr("asrpro_worker.engines.whisper.engine._warm_up", lambda *_: 384)
    window = window_frames(4 * RATE)
    monkeypatch.setattr(decoding, "FRAMES", window)
    with decode(str(SPEECH), lambda _: None) as speech:
        pcm.append((speech.read(0, 4 * RATE) * 32768).astype(np.int16))
    answers = []
    for device in ("cpu", "mps"):
        engine = Whisper()
        facts = load(engine, WHISPER, device=device, compute_type="float32")
        assert (facts.device, facts.compute_type) == (device, "float32")
        if device == "mps":
            shorten(engine, window)
        _, segments = hear(engine, pcm, job(beam_size=1, word_timestamps=True))
        answers.append(segments)
    assert len(answers[0][0].words or []) >= 5
    for ours, theirs in zip(answers[1], answers[0], strict=True):
        assert ours.tokens == theirs.tokens
        assert ours.avg_logprob == pytest.approx(theirs.avg_logprob, abs=0.01)
        assert ours.no_speech_prob == pytest.approx(theirs.no_speech_prob, abs=0.05)
        for word, expected in zip(ours.words or [], theirs.words or [], strict=True):
            assert word.word == expected.word
            assert (word.start, word.end) == pytest.approx((expected.start, expected.end), abs=0.041)
            assert word.probability == pytest.approx(expected.probability, abs=0.15)


def shorten(engine: Whisper, window: int) -> None:
    """Keep the positions of the encoder's output for a window of this many frames, so that it accepts no other."""
    weights: Any = engine._decoder._backend._model._weights  # type: ignore[union-attr]  # noqa: SLF001 - the weights
    name = "encoder/position_encodings/encodings"
    weights[name] = weights[name][: window // 2]
    mx.eval(weights[name])


@pytest.mark.parametrize("beam_size", [1, 5])
def test_beam_search_gives_the_texts_of_ctranslate2(
    whisper: Path, sounds: list[Any], prompt: list[int], beam_size: int
) -> None:
    # CTranslate2 limits the text to half of `max_tokens` whatever the prompt; here both limits are equal.
    options = Options(beam_size, 0.0, max_tokens=2 * len(prompt))
    found = []
    for backend in (CTranslate2Backend(whisper, "cpu", "float32", 1), MlxBackend(whisper, "float32")):
        encoded = backend.encode(sounds)
        texts = backend.generate(encoded, [prompt] * 3, options)
        languages = backend.detect_language(encoded)
        found.append(([text.tokens for text in texts], [text.logprob for text in texts], languages))
    (their_tokens, their_logprobs, their_languages), (tokens, logprobs, languages) = found
    assert tokens == their_tokens
    assert logprobs == pytest.approx(their_logprobs, abs=1e-3)
    assert [next(iter(one)) for one in languages] == [next(iter(one)) for one in their_languages]
    for ours, theirs in zip(languages, their_languages, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("options", [Options(5, 0.0, max_tokens=26), Options(5, 0.8, max_tokens=26)])
def test_the_text_of_a_piece_does_not_depend_on_the_batch(
    whisper: Path, sounds: list[Any], prompt: list[int], options: Options
) -> None:
    backend = MlxBackend(whisper, "float32")
    together = backend.generate(backend.encode(sounds), [prompt] * 3, options)
    alone = [backend.generate(backend.encode([one]), [prompt], options)[0] for one in sounds]
    assert [text.tokens for text in together] == [text.tokens for text in alone]
    assert [text.tokens for text in backend.generate(backend.encode(sounds), [prompt] * 3, options)] == [
        text.tokens for text in together
    ]


def test_a_text_without_end_can_be_aligned(whisper: Path, sounds: list[Any], prompt: list[int]) -> None:
    backend = MlxBackend(whisper, "float32")
    encoded = backend.encode(sounds[:1])
    start = prompt[-4:]
    [text] = backend.generate(encoded, [start], Options(5, 1.0, suppressed=range(backend._end, backend._end + 1)))  # noqa: SLF001
    assert len(text.tokens) == MAX_TEXT_TOKENS
    assert backend.align(encoded, start[:-1], [text.tokens], [FRAMES]) != [None]


def test_nan_features_give_no_text(whisper: Path, sounds: list[Any], prompt: list[int]) -> None:
    backend = MlxBackend(whisper, "float32")
    encoded = backend.encode([sounds[0] * np.float32(np.nan)])
    [found] = backend.generate(encoded, [prompt], Options(5, 0.0))
    assert (found.tokens, found.logprob) == ([], -100.0)


def test_int8_weights_are_scaled_back(tmp_path: Path, whisper: Path) -> None:
    plain = read_model_bin(whisper / "model.bin")
    assert "decoder/projection/weight" in plain
    write_tiny_whisper(tmp_path, MlxBackend(whisper, "float32")._vocabulary, ["en"], quantization="int8")  # noqa: SLF001
    quantized = read_model_bin(tmp_path / "model.bin")
    assert not any(name.endswith("_scale") for name in quantized)
    name = "encoder/layer_0/ffn/linear_0/weight"
    assert quantized[name] == pytest.approx(plain[name], abs=float(np.abs(plain[name]).max()) / 100)


def test_a_truncated_file_raises_an_error(own_whisper: Path) -> None:
    file = own_whisper / "model.bin"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(RuntimeError, match=r"model\.bin is incomplete"):
        read_model_bin(file)


@pytest.mark.usefixtures("mac")
def test_the_device_test_runs_a_model_and_reports_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mlx_devices.probe("mps").usable

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[METAL] Command buffer execution failed: Caused GPU Hang Error")

    monkeypatch.setattr(mx, "conv1d", fail)
    probed = mlx_devices.probe("mps")
    assert not probed.usable
    assert "GPU Hang" in (probed.reason or "")


@pytest.mark.usefixtures("mac")
def test_an_unsupported_compute_type_is_rejected(whisper: Path) -> None:
    with pytest.raises(WorkerError, match="float16 or float32") as refused:
        load(Whisper(), whisper, device="mps", compute_type="int8")
    assert refused.value.code == "device_unavailable"


def test_without_a_gpu_the_device_is_rejected(whisper: Path) -> None:
    assert mlx_devices.probe("mps").reason == "MLX finds no Apple GPU here; choose 'cpu'."
    with pytest.raises(WorkerError, match="no Apple GPU"):
        load(Whisper(), whisper, device="mps")


def test_time_warping_finds_the_cheapest_path() -> None:
    cost = np.array([[0, 0, 9, 9, 9], [9, 9, 0, 9, 9], [9, 9, 9, 0, 0]], np.float32)
    assert first_frames(cost) == [0, 2, 3]
