"""Decoding with real weights gives the results of faster-whisper."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from in_process import hear, job
from real_whisper import WHISPER, half_a_minute
from sounds import SPEECH, manifest

from asrpro_worker.audio import decode
from asrpro_worker.engines.whisper import decoding
from asrpro_worker.engines.whisper.features import FRAMES
from asrpro_worker.piece import Heard, Piece

if TYPE_CHECKING:
    from asrpro_worker.engines.whisper.engine import Whisper
    from asrpro_worker.messages import Segment
    from asrpro_worker.pcm import Pcm


@pytest.fixture(scope="module")
def stock() -> WhisperModel:
    return WhisperModel(str(WHISPER), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


@pytest.fixture
def speech(pcm: Pcm) -> Pcm:
    pcm.append((half_a_minute()[: 20 * 16_000] * 32768).astype(np.int16))
    return pcm


def filled(features: Any) -> Any:
    """The features padded with silence to a full window."""
    return np.pad(features, ((0, 0), (0, FRAMES - features.shape[1])), constant_values=features.min())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"prompt": "An audiobook, read by volunteers."}, {"initial_prompt": "An audiobook, read by volunteers."}),
        ({"hotwords": ["Kennedy", "Washington"]}, {"hotwords": "Kennedy, Washington"}),
        ({"beam_size": 1}, {"beam_size": 1}),
    ],
)
def test_one_window_has_the_tokens_of_faster_whisper(
    tiny_whisper: Whisper,
    stock: WhisperModel,
    monkeypatch: pytest.MonkeyPatch,
    ours: dict[str, Any],
    theirs: dict[str, Any],
) -> None:
    with decode(str(SPEECH), lambda _: None) as pcm:
        samples = pcm.read(0, pcm.samples)
    # faster-whisper pads the window with 0, which is not silence; this is the only difference.
    monkeypatch.setattr("faster_whisper.transcribe.pad_or_trim", filled)
    segments, _ = stock.transcribe(samples, without_timestamps=True, **theirs)
    [expected] = list(segments)

    def decoded() -> Segment:
        piece = Piece(job(segment_timestamps=False, **ours), ((0, len(samples)),), samples, "en")
        [outcome] = tiny_whisper.decode([piece], lambda: None)
        assert isinstance(outcome, Heard)
        [segment] = outcome.segments
        return segment

    # In the short window some punctuation marks are as likely as none; the processor's rounding errors decide.
    assert re.findall(r"\w+", decoded().text) == re.findall(r"\w+", expected.text)
    monkeypatch.setattr(decoding, "window_frames", lambda _: FRAMES)
    segment = decoded()
    assert segment.tokens == expected.tokens
    assert segment.text == expected.text
    assert segment.avg_logprob == pytest.approx(expected.avg_logprob, abs=0.02)
    assert segment.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=0.02)
    assert segment.compression_ratio == pytest.approx(expected.compression_ratio)


def test_many_keywords_and_a_long_prompt_lose_no_words(tiny_whisper: Whisper, speech: Pcm) -> None:
    def words(**fields: Any) -> int:
        _, segments = hear(tiny_whisper, speech, job(beam_size=1, **fields))
        return sum(len(segment.text.split()) for segment in segments)

    keywords = [f"Kwatsch-Brubbel {number} GmbH" for number in range(60)]
    prompt = " ".join(f"{row['reference'].capitalize()}." for row in manifest("librispeech")[-60:])
    assert words(hotwords=keywords, prompt=prompt) > 0.9 * words()


@pytest.mark.parametrize("decibels", [-30, -45])
def test_quiet_speech_is_recognized(tiny_whisper: Whisper, pcm: Pcm, decibels: int) -> None:
    with decode(str(SPEECH), lambda _: None) as sound:
        pcm.append((sound.read(0, sound.samples) * 32767 * 10 ** (decibels / 20)).astype(np.int16))
    _, segments = hear(tiny_whisper, pcm, job(vad_filter=True))
    assert len(" ".join(segment.text for segment in segments).split()) >= 18


def test_word_times_are_right_after_long_silences(tiny_whisper: Whisper, pcm: Pcm) -> None:
    # Two different sounds: a text that repeats itself is decoded again at every temperature.
    first, second = np.split((half_a_minute()[: 20 * 16_000] * 32768).astype(np.int16), 2)
    silence = np.zeros(16_000 * 60, np.int16)
    for part in (silence, first, silence, second, silence):
        pcm.append(part)
    _, segments = hear(tiny_whisper, pcm, job(vad_filter=True, word_timestamps=True))
    last = 0.0
    for segment in segments:
        for word in segment.words or []:
            assert last <= word.start <= word.end <= segment.end
            assert 59 < word.start < word.end < 71 or 129 < word.start < word.end < 141, word
            last = word.start
    starts = [segment.start for segment in segments]
    assert sum(start < 100 for start in starts) >= 1
    assert sum(start > 100 for start in starts) >= 1
