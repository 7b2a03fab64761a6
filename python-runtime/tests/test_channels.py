"""No number or order of channels crashes the worker, and sound on any channel is kept."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from media import encode, on_channel, tone, wav

if TYPE_CHECKING:
    from pathlib import Path

    from media import Decoding

# FFmpeg's names; other numbers of channels have no named layout.
LAYOUTS = {3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1", 10: "5.1.4", 12: "7.1.4", 16: "hexadecagonal"}
CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "flac": ("flac", {}),
    "m4a": ("aac", {}),
    "aac": ("aac", {"form": "adts"}),
    "ts": ("aac", {"form": "mpegts"}),
    "opus": ("libopus", {"rate": 48_000}),
    "family255.opus": ("libopus", {"rate": 48_000, "options": {"mapping_family": "255"}}),
    "ambisonic.opus": ("libopus", {"rate": 48_000, "options": {"mapping_family": "2"}}),
    "ac3": ("ac3", {"rate": 48_000}),
    "eac3": ("eac3", {"rate": 48_000}),
    "alac.m4a": ("alac", {}),
    "wv": ("wavpack", {}),
    "planar.nut": ("pcm_s16le_planar", {}),
}


# Every named layout, and the squares and squares plus two that ambisonics allow.
COUNTS = [*range(1, 20), 25, 27, 36, 38, 49, 51, 63, 64]


def has_sound(answer: Any) -> bool:
    return isinstance(answer, list) and 0.2 < answer[0] < 0.5 and answer[1] > 0.015


def silent(files: list[Path], answers: list[Any]) -> list[str]:
    return [files[number].name for number, answer in enumerate(answers) if not has_sound(answer)]


def test_every_number_of_channels_in_wav(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    files = []
    # The formats of the samples take turns, because channels are ordered and mixed in the same way for all of them.
    formats = itertools.cycle([(8, False), (16, False), (24, False), (32, False), (32, True), (64, True)])
    for channels in range(1, 65):
        sound = on_channel(channels - 1, channels, seconds=0.25)
        bits, real = next(formats)
        files.append(wav(tmp_path / f"{bits}_{real}_{channels}.wav", sound, bits, real=real))
        mask = (1 << min(channels, 18)) - 1
        masks = [0, mask, mask << 2]
        # A mask has 18 bits, so all masks of more channels say the same: they take turns too.
        kept = masks if channels <= 20 else [masks[channels % 3]]
        files += [wav(tmp_path / f"masked{bits}_{channels}.wav", sound, 16, mask=bits) for bits in kept]
    answers = decode_elsewhere(files)
    assert silent(files, answers) == []


@pytest.mark.parametrize("kind", CODECS)
def test_the_numbers_of_channels_that_a_codec_supports(decode_elsewhere: Decoding, tmp_path: Path, kind: str) -> None:
    codec, how = CODECS[kind]
    files = []
    for channels in COUNTS:
        for layout in dict.fromkeys((None, LAYOUTS.get(channels))):
            sound = on_channel(channels - 1, channels, how.get("rate", 16_000), 0.25)
            path = tmp_path / f"{channels}_{layout}.{kind}"
            try:
                files.append(encode(path, codec, sound, layout=layout, **how))
            except (ValueError, OSError):  # the codec does not support it
                continue
    assert len(files) >= 4
    answers = decode_elsewhere(files)
    assert silent(files, answers) == []


@pytest.mark.parametrize("labels", [[2, 1], [1, 1, 1], [3, 45, 1, 2], [65536 + number for number in range(6)]])
def test_a_custom_order_of_channels(decode_elsewhere: Decoding, tmp_path: Path, labels: list[int]) -> None:
    """Right before left, the same label three times, an unknown label: PyAV frees a custom order twice."""
    channels = len(labels)
    sound = np.repeat(tone(1), channels, axis=0)
    order = struct.pack(">III", 0, 0, channels) + b"".join(struct.pack(">II12x", label, 0) for label in labels)
    data = struct.pack(">I", 0) + (sound.T * 32767).astype(">i2").tobytes()
    path = tmp_path / "sound.caf"
    path.write_bytes(
        b"caff" + struct.pack(">HH", 1, 0)
        + b"desc" + struct.pack(">qd4sIIIII", 32, 16_000, b"lpcm", 0, 2 * channels, 1, channels, 16)
        + b"chan" + struct.pack(">q", len(order)) + order
        + b"data" + struct.pack(">q", len(data)) + data
    )  # fmt: skip
    assert decode_elsewhere([path]) == [[1.0, pytest.approx(0.5, abs=0.01)]]


def test_channels_that_change_in_the_middle(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    parts = [
        encode(tmp_path / f"{channels}.aac", "aac", on_channel(0, channels), form="adts", layout=layout)
        for channels, layout in ((2, "stereo"), (8, "7.1"), (1, "mono"), (6, "5.1"))
    ]
    path = tmp_path / "joined.aac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    [(seconds, peak)] = decode_elsewhere([path])
    assert seconds == pytest.approx(4, abs=0.5)
    assert peak > 0.1


def test_links_of_an_ogg_file_with_different_formats(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    kinds: list[tuple[str, str, int]] = [
        ("libopus", "mono", 48_000),
        ("flac", "stereo", 44_100),
        ("libopus", "5.1", 48_000),
    ]
    parts = []
    for number, (codec, layout, rate) in enumerate(kinds):
        sound = np.repeat(tone(1, rate), {"mono": 1, "stereo": 2, "5.1": 6}[layout], axis=0)
        parts.append(encode(tmp_path / str(number), codec, sound, form="ogg", layout=layout, rate=rate).read_bytes())
    path = tmp_path / "joined.ogg"
    path.write_bytes(b"".join(parts))
    damaged = tmp_path / "damaged.ogg"
    damaged.write_bytes(parts[0] + parts[1][:40] + bytes(50_000) + parts[2])
    assert decode_elsewhere([path, damaged]) == [
        [pytest.approx(3, abs=0.05), pytest.approx(0.5, abs=0.05)],
        [pytest.approx(2, abs=0.05), pytest.approx(0.5, abs=0.05)],
    ]


def test_more_channels_than_can_be_mixed(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    assert decode_elsewhere([wav(tmp_path / "65.wav", on_channel(0, 65), 16)]) == ["invalid_file_format"]
