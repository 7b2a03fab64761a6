"""Decoding of uploads: formats, damaged files, limits and cancellation."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from media import encode, tone
from sounds import AUDIO, manifest, mp3, noise, write_wav

from asrpro_worker import audio
from asrpro_worker.errors import JobCancelledError, WorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Files without any decodable sound. The content decides, not the name.
UNREADABLE = {
    "bitrot.m4a",
    "bitrot.ogg",
    "bits_0.wav",
    "channels_0.wav",
    "channels_65535.wav",
    "first_100_bytes.flac",
    "first_100_bytes.m4a",
    "first_100_bytes.mp3",
    "first_100_bytes.ogg",
    "first_100_bytes.webm",
    "html_404.mp3",
    "id3_huge_size.mp3",
    "json_error.wav",
    "one_byte.wav",
    "png_named.mp3",
    "random_64k.bin.mp3",
    "random_64k.wav",
    "rate_0.wav",
    "rate_1hz.wav",
    "rate_4294967295.wav",
    "truncated_half.m4a",
    "unknown_codec_tag.wav",
    "video_only.mp4",
    "zero_length.mp3",
    "zero_length.wav",
}
SHORT = {"first_100_bytes.wav", "one_sample.wav"}
# Damaged files: at least these seconds of the 5.9 must be decoded.
SAVED = {
    "bitrot.flac": 3.4,
    "bitrot.mp3": 5.6,
    # These containers have timestamps, so lost packets become silence.
    "bitrot.webm": 5.7,
    "truncated_half.flac": 2.6,
    "truncated_half.mp3": 2.8,
    "truncated_half.webm": 2.8,
    "zeroed_middle.flac": 5.6,
    "zeroed_middle.m4a": 5.7,
    "zeroed_middle.mp3": 5.2,
    "zeroed_middle.ogg": 5.7,
    "zeroed_middle.webm": 5.7,
    "two_mp3_joined.mp3": 11.8,
    "two_ogg_chained.ogg": 11.7,
}


def decode(path: Path) -> tuple[NDArray[np.float32], int]:
    with audio.decode(str(path), lambda _: None) as pcm:
        return pcm.read(0, pcm.samples), pcm.skipped_packets


def error_of(path: Path) -> WorkerError:
    with pytest.raises(WorkerError) as error:
        decode(path)
    assert error.value.param == "file"
    return error.value


@pytest.mark.parametrize("row", manifest("formats"), ids=lambda row: row["file"].rpartition("/")[2])
def test_format(row: dict[str, str]) -> None:
    path = AUDIO / "formats" / row["file"]
    if path.suffix == ".raw":
        assert error_of(path).code == "invalid_file_format"
        return
    samples, skipped = decode(path)
    assert skipped == 0
    assert len(samples) / 16_000 == pytest.approx(float(row["duration_s"] or 5.855), abs=0.1)
    assert np.abs(samples).max() > 0.001, "there is sound"
    if path.name == "surround51.flac":
        # faster-whisper's mixture includes the silent channels and is quieter.
        loud = np.abs(samples).max() / np.abs(decode_audio(str(path))).max()
        assert 1 < loud < 6
        np.testing.assert_allclose(samples, decode_audio(str(path)) * loud, atol=1e-3)
    elif path.name != "two_audio_tracks.mkv":
        np.testing.assert_array_equal(samples, decode_audio(str(path)))


@pytest.mark.parametrize("row", manifest("corrupt"), ids=lambda row: row["file"].rpartition("/")[2])
def test_damaged_file(row: dict[str, str], spool: Path) -> None:
    path = spool / "upload"
    shutil.copy(AUDIO / "corrupt" / row["file"], path)
    name = row["file"].rpartition("/")[2]
    if name in UNREADABLE:
        assert error_of(path).code == "invalid_file_format"
    elif name in SHORT:
        assert error_of(path).code == "audio_too_short"
    else:
        samples, _ = decode(path)
        assert np.isfinite(samples).all()
        seconds = len(samples) / 16_000
        wanted = SAVED.get(name, float(row["duration_s"]) - 0.1)
        assert wanted <= seconds < wanted + 0.3
    assert list(spool.iterdir()) == [path]


def test_the_error_for_an_unreadable_file_lists_the_formats() -> None:
    message = error_of(AUDIO / "corrupt" / "made" / "html_404.mp3").message
    formats = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
    assert message.startswith(f"Invalid file format. Supported formats: {formats}")


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_the_least_duration_is_a_tenth_of_a_second(spool: Path, rate: int) -> None:
    samples = noise(0.2, rate)
    assert 1590 <= len(decode(write_wav(spool / "enough", samples[: -(-rate // 10)], rate=rate))[0]) <= 1610
    error = error_of(write_wav(spool / "short", samples[: -(-rate // 10) - 1], rate=rate))
    assert (error.code, "0.1 seconds" in error.message) == ("audio_too_short", True)


def test_a_header_without_sound_is_rejected(spool: Path) -> None:
    assert error_of(write_wav(spool / "upload", noise(0))).code == "invalid_file_format"


def test_a_long_file_is_rejected_during_decoding(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_SECONDS", 3)
    decode(write_wav(spool / "upload", noise(3)))
    assert error_of(write_wav(spool / "upload", noise(3.1))).code == "audio_too_long"


def test_cancelling_channels_are_not_mixed(spool: Path) -> None:
    sound = noise(1)
    samples, _ = decode(write_wav(spool / "upload", sound, -sound))
    np.testing.assert_allclose(samples, sound / 32768, atol=1e-4)


def test_other_channels_are_mixed(spool: Path) -> None:
    sound = noise(1)
    samples, _ = decode(write_wav(spool / "upload", sound, np.zeros_like(sound)))
    np.testing.assert_allclose(samples, sound / 65536, atol=1e-4)


def test_decoding_can_be_cancelled(spool: Path) -> None:
    def stop(_: float) -> None:
        raise JobCancelledError

    path = write_wav(spool / "upload", noise(1))
    with pytest.raises(JobCancelledError):
        audio.decode(str(path), stop)
    assert list(spool.iterdir()) == [path]


def test_decoding_can_be_cancelled_before_the_first_sound(spool: Path) -> None:
    def stop(_: float) -> None:
        raise JobCancelledError

    path = encode(spool / "film.mkv", "aac", tone(0.2), at=[(3, tone(0.2))], picture=4)
    with pytest.raises(JobCancelledError):
        audio.decode(str(path), stop)
    damaged = AUDIO / "corrupt" / "made" / "bitrot.webm"
    with pytest.raises(JobCancelledError):
        audio.decode(str(damaged), stop)


def test_progress_is_reported_for_a_file_with_changing_sample_rates(spool: Path) -> None:
    # Each part is shorter than a block of the resampler and has another sample rate than the previous one.
    rates = (16_000, 22_050) * 10
    path = spool / "upload"
    path.write_bytes(b"".join(mp3(noise(0.2, rate), rate) for rate in rates))
    seen: list[float] = []
    with audio.decode(str(path), seen.append) as pcm:
        assert 4.0 <= pcm.duration < 6.0, "the encoder pads each part"
    assert len(seen) >= len(rates) / 2


def test_frames_with_absurd_sample_rates_are_skipped(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No encoder writes absurd sample rates, so here 16 kHz counts as absurd.
    monkeypatch.setattr(audio, "_RATES", range(20_000, 50_000))
    path = spool / "upload"
    path.write_bytes(b"".join(mp3(noise(1, rate), rate) for rate in (22_050, 16_000, 22_050)))
    samples, skipped = decode(path)
    assert len(samples) / 16_000 == pytest.approx(2, abs=0.2)
    assert skipped > 10


def test_a_spool_directory_that_is_not_writable(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    path = write_wav(spool / "upload", noise(1))
    monkeypatch.setattr("asrpro_worker.audio.spool_directory", lambda _: spool / "no such directory")
    assert len(decode(path)[0]) == 16_000
