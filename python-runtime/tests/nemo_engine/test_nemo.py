"""The engine `nemo` with toy models. These tests run in its own environment: `npm test python-nemo`."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import load, transcribe
from sounds import NOISE, SILENCE, SPEECH, write_wav
from toy_nemo import KINDS, make_nemo

from asrpro_worker.audio import decode
from asrpro_worker.engines.nemo.engine import Nemo
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.messages import Segment


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Nemo:
    made = Nemo()
    facts = load(made, checkpoints[request.param], languages=["en", "de"])
    assert (facts.device, facts.compute_type, facts.batch) == ("cpu", "float32", 1)
    assert facts.languages == ["en", "de"]
    return made


def assert_in_order(segments: list[Segment], duration: float) -> None:
    last = 0.0
    for index, segment in enumerate(segments):
        assert segment.id == index
        assert segment.text.startswith(" ")
        assert segment.words
        assert segment.text == " " + " ".join(word.word for word in segment.words)
        for word in segment.words:
            assert last <= word.start <= word.end <= duration
            assert (type(word.start), type(word.end)) == (float, float)
            last = word.end
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)


def test_words_with_times(engine: Nemo) -> None:
    recognition, segments = transcribe(engine, SPEECH, word_timestamps=True)
    assert (recognition.language, recognition.language_probability) == (None, None)
    assert segments
    assert_in_order(segments, 11.0)


def test_the_same_sound_gives_the_same_text(engine: Nemo) -> None:
    first, second = (transcribe(engine, SPEECH)[1] for _ in range(2))
    assert [segment.text for segment in first] == [segment.text for segment in second]
    assert {segment.words is None for segment in first} == {True}


@pytest.mark.parametrize("path", [SILENCE, NOISE])
def test_no_speech_no_text(engine: Nemo, path: Path) -> None:
    assert transcribe(engine, path, vad_filter=True)[1] == []


@pytest.fixture(scope="module")
def tdt(checkpoints: dict[str, Path]) -> Nemo:
    made = Nemo()
    load(made, checkpoints["tdt"], languages=["en"])
    return made


def test_long_speech_has_times_of_the_whole_file(tdt: Nemo, spool: Path) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        speech = (pcm.read(0, pcm.samples) * 32768).astype(np.int16)
    _, segments = transcribe(tdt, write_wav(spool / "upload", np.tile(speech, 8)), word_timestamps=True)
    assert_in_order(segments, 88.0)
    assert segments[-1].end == pytest.approx(88, abs=3)
    assert len({segment.seek for segment in segments}) >= 3, "several pieces"


def test_a_single_language_is_reported(tdt: Nemo) -> None:
    assert transcribe(tdt, SPEECH)[0].language == "en"


@pytest.mark.parametrize("length", [0.12, 0.5, 0.99])
def test_short_sounds_keep_their_times(tdt: Nemo, spool: Path, length: float) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        speech = (pcm.read(5600, 5600 + round(length * 16_000)) * 32768).astype(np.int16)
    _, segments = transcribe(tdt, write_wav(spool / "upload", speech), word_timestamps=True)
    assert all(0 <= segment.start <= segment.end <= length + 1e-6 for segment in segments)


def test_tokens_without_duration_lose_the_times_but_not_the_text(tmp_path: Path) -> None:
    made = Nemo()
    load(made, make_nemo(tmp_path / "zero.nemo", "tdt", [0, 1, 2, 3]))
    transcribe_all, failed = made._transcribe, []  # noqa: SLF001 - to raise the library's error

    def without_times(sounds: Any, keywords: Any, *, timestamps: bool) -> Any:
        if timestamps:
            failed.append(len(sounds))
            raise ValueError("no token has a duration")
        return transcribe_all(sounds, keywords, timestamps=False)

    made._transcribe = without_times  # type: ignore[method-assign]  # noqa: SLF001
    _, segments = transcribe(made, SPEECH, word_timestamps=True)
    assert failed
    assert [(segment.start, segment.words) for segment in segments] == [(segments[0].start, [])]
    assert segments[0].text.strip()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": "translate"}, None),
        ({"logprobs": True}, "include"),
        ({"language": "ja"}, "language"),
    ],
)
def test_unsupported_fields_are_rejected(tdt: Nemo, fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(WorkerError) as error:
        transcribe(tdt, SPEECH, **fields)
    assert error.value.param == param


def test_devices_are_tested(tdt: Nemo) -> None:
    assert tdt.probe("cpu").usable
    for device in ("mps", "toaster", "cuda:99"):
        probed = tdt.probe(device)
        assert (probed.usable, probed.reason is None) == (False, False)


@pytest.mark.parametrize(
    ("settings", "word"), [({"device": "toaster"}, "toaster"), ({"compute_type": "int8"}, "float32")]
)
def test_unsupported_settings_are_rejected(checkpoints: dict[str, Path], settings: dict[str, str], word: str) -> None:
    with pytest.raises(WorkerError) as error:
        load(Nemo(), checkpoints["tdt"], **settings)
    assert (error.value.code, word in error.value.message) == ("device_unavailable", True)


def rewritten(source: Path, target: Path, name: str, content: bytes | None) -> Path:
    """A copy of the checkpoint with one member replaced or removed."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            data = old.extractfile(member)
            raw = data.read() if data else b""
            if member.name.endswith(name):
                if content is None:
                    continue
                raw = content
                member.size = len(raw)
            new.addfile(member, io.BytesIO(raw))
    return target


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("model_config.yaml", None, "model_config.yaml is missing"),
        ("model_config.yaml", b"a: [", "model_config.yaml"),
        ("model_config.yaml", b"{}", "model_config.yaml"),
        ("model_config.yaml", b"target: nemo.collections.nlp.models.GPT", "GPT"),
        (
            "model_config.yaml",
            b"target: nemo.collections.asr.models.ctc_models.EncDecCTCModel\nencoder: {_target_: os.system}",
            "os.system",
        ),
        ("model_config.yaml", b"target: nemo.collections.asr.models.ctc_models.EncDecCTCModel", "cannot be loaded"),
        ("model_weights.ckpt", None, "model_weights.ckpt is missing"),
        ("model_weights.ckpt", b"", "model_weights.ckpt"),
        ("model_weights.ckpt", b"garbage" * 100, "model_weights.ckpt"),
    ],
)
def test_damaged_content(
    checkpoints: dict[str, Path], tmp_path: Path, name: str, content: bytes | None, word: str
) -> None:
    assert word in refusal(rewritten(checkpoints["tdt"], tmp_path / "toy.nemo", name, content))


def test_the_weights_of_another_model(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(checkpoints["ctc"]) as other:
        weights = next(member for member in other.getmembers() if member.name.endswith("model_weights.ckpt"))
        content = other.extractfile(weights)
        assert content is not None
        raw = content.read()
    file = rewritten(checkpoints["tdt"], tmp_path / "toy.nemo", "model_weights.ckpt", raw)
    assert "does not fit" in refusal(file)


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "toy.nemo").write_bytes(content)
    assert "toy.nemo" in refusal(tmp_path / "toy.nemo")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_truncated_checkpoint(checkpoints: dict[str, Path], tmp_path: Path, part: float) -> None:
    content = checkpoints["tdt"].read_bytes()
    (tmp_path / "toy.nemo").write_bytes(content[: round(part * len(content))])
    assert "toy.nemo" in refusal(tmp_path / "toy.nemo")


def test_a_directory_holds_exactly_one_checkpoint(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    assert "no .nemo file" in refusal(tmp_path)
    assert "more than one" in refusal(checkpoints["tdt"].parent)
    assert "missing" in refusal(tmp_path / "nvidia" / "parakeet")
    (tmp_path / "toy.nemo").write_bytes(checkpoints["ctc"].read_bytes())
    assert load(Nemo(), tmp_path).device == "cpu"


def refusal(path: Path) -> str:
    with pytest.raises(WorkerError) as error:
        load(Nemo(), path)
    assert error.value.code == "model_broken"
    assert str(path) not in error.value.message
    return error.value.message
