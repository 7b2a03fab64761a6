"""Audio for the tests, generated here or read from test/audio."""

from __future__ import annotations

import csv
import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUDIO = Path(__file__).parents[2] / "test" / "audio"
SPEECH = AUDIO / "english" / "jfk.flac"
SILENCE = AUDIO / "corrupt" / "made" / "silence_30s.flac"
NOISE = AUDIO / "corrupt" / "made" / "white_noise_30s.opus"


def manifest(folder: str) -> list[dict[str, str]]:
    """The rows of a folder's manifest.tsv."""
    with (AUDIO / folder / "manifest.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def noise(seconds: float, rate: int = 16_000) -> NDArray[np.int16]:
    """Noise that is the same every time, as int16 of shape (seconds * rate,)."""
    return np.random.default_rng(0).integers(-8000, 8000, round(seconds * rate)).astype(np.int16)


def write_wav(path: Path, *channels: NDArray[np.int16], rate: int = 16_000) -> Path:
    """A 16-bit WAV file of one or more channels."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return path


def mp3(samples: NDArray[np.int16], rate: int) -> bytes:
    """A mono MP3 without the header that would describe the whole file, so that several can be joined."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("mp3", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16p", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()
