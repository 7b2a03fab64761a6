"""Every format in docs/openai.md is decoded whatever the name of its file; formats that open other files are not."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from media import encode, tone

from asrpro_worker import container

if TYPE_CHECKING:
    from media import Decoding

# Formats that the libraries can write: (codec, how). test_audio.py decodes those in test/audio/formats.
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    "3g2": ("aac", {"rate": 44_100}),
    "3gp": ("libopencore_amrnb", {"rate": 8_000}),
    "ac3": ("ac3", {"rate": 48_000}),
    "aiff": ("pcm_s16be", {}),
    "amr": ("libopencore_amrnb", {"rate": 8_000, "form": "amr", "options": {"b": "12200"}}),
    "asf": ("mp3", {"rate": 44_100, "form": "asf"}),
    "au": ("pcm_s16be", {}),
    "aud": ("adpcm_ima_ws", {}),
    "avi": ("pcm_s16le", {}),
    "caf": ("pcm_s16be", {}),
    "eac3": ("eac3", {"rate": 48_000}),
    "f4v": ("aac", {"rate": 44_100, "form": "f4v"}),
    "flv": ("mp3", {"rate": 44_100}),
    "gxf": ("pcm_s16le", {"rate": 48_000}),
    "latm": ("aac", {"form": "latm"}),
    "m2ts": ("ac3", {"rate": 48_000, "form": "mpegts", "muxing": {"mpegts_m2ts_mode": "1"}}),
    "mmf": ("adpcm_yamaha", {"rate": 8_000}),
    "mxf": ("pcm_s16le", {"rate": 48_000, "form": "mxf_opatom"}),
    "nut": ("pcm_s16le", {}),
    "oga": ("flac", {}),
    "rm": ("real_144", {"rate": 8_000}),
    "sf": ("pcm_s16le", {"form": "ircam"}),
    "sox": ("pcm_s32le", {}),
    "spdif": ("ac3", {"rate": 48_000, "form": "spdif"}),
    "swf": ("mp3", {"rate": 44_100}),
    "tta": ("tta", {}),
    "vob": ("mp2", {"rate": 48_000, "form": "vob"}),
    "voc": ("pcm_s16le", {}),
    "w64": ("pcm_s16le", {}),
    "wma": ("wmav2", {"rate": 44_100, "form": "asf", "options": {"b": "128k"}}),
    "wtv": ("mp2", {"rate": 48_000}),
    "wv": ("wavpack", {}),
}


def test_every_format_that_can_be_written_is_decoded(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    files = []
    for kind, (codec, how) in WRITTEN.items():
        path = encode(tmp_path / f"file.{kind}", codec, tone(1, how.get("rate", 16_000)), **how)
        files.append(path.rename(tmp_path / f"{kind}_without_its_name"))
    files += [sphere(tmp_path / "sphere"), dsf(tmp_path / "dsf"), dsf(tmp_path / "dsf256", 11_289_600)]
    answers = dict(zip([file.name for file in files], decode_elsewhere(files), strict=True))
    good = [name for name, answer in answers.items() if isinstance(answer, list) and answer[1] > 0.2]
    assert {name: answer for name, answer in answers.items() if name not in good} == {}
    assert [name for name in good if not 0.9 < answers[name][0] < 1.4] == []


def test_video_in_mxf(decode_elsewhere: Decoding, tmp_path: Path) -> None:
    path = encode(tmp_path / "file.mxf", "pcm_s16le", tone(1, 48_000), rate=48_000, picture=1)
    assert decode_elsewhere([path]) == [[pytest.approx(1, abs=0.1), pytest.approx(0.5, abs=0.05)]]


@pytest.mark.parametrize("kind", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("first", ["without a packet", "damaged"])
def test_the_next_track_is_used_if_the_first_has_no_sound(
    decode_elsewhere: Decoding, tmp_path: Path, kind: str, first: str
) -> None:
    path = tmp_path / f"file.{kind}"
    with av.open(str(path), "w") as target:
        silent, spoken = (target.add_stream("aac", rate=16_000, layout="mono") for _ in range(2))
        frame = av.AudioFrame.from_ndarray(tone(1), format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 0
        packets = [*spoken.encode(frame), *spoken.encode(None)]
        for number in range(15 if first == "damaged" else 0):
            packet = av.Packet(bytes(200))
            packet.stream, packet.time_base = silent, Fraction(1, 16_000)
            packet.pts = packet.dts = number * 1024
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts):
            target.mux(packet)
    assert decode_elsewhere([path]) == [[pytest.approx(1, abs=0.1), pytest.approx(0.5, abs=0.05)]]


def sphere(path: Path) -> Path:
    """A NIST SPHERE file, a format of speech corpora."""
    fields = "channel_count -i 1\nsample_count -i 16000\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
    head = f"NIST_1A\n   1024\n{fields}sample_byte_format -s2 01\nsample_coding -s3 pcm\nend_head\n"
    path.write_bytes(head.encode().ljust(1024, b"\n") + (tone(1)[0] * 32767).astype("<i2").tobytes())
    return path


def dsf(path: Path, rate: int = 2_822_400) -> Path:
    """A second of DSD, one bit per sample, in blocks of 4096 bytes."""
    wave = (tone(1, rate)[0] + 1) / 2
    bits = np.diff(np.floor(np.cumsum(wave, dtype=np.float64)), prepend=0).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    data = data.ljust(-(-len(data) // 4096) * 4096, b"\x69")
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, rate, 1, rate, 4096, 0)
    body = form + b"data" + struct.pack("<Q", 12 + len(data)) + data
    path.write_bytes(b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body)
    return path


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile other.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
        "http://127.0.0.1/other.wav",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "[playlist]\nFile1=other.wav\n",
        "# VobSub index file, v7\nid: en, index: 0\n",
        ";FFMETADATA1\ntitle=x\n",
    ],
)
def test_a_script_opens_no_other_file(decode_elsewhere: Decoding, spool: Path, script: str) -> None:
    (spool / "upload").write_text(script)
    encode(spool / "other.wav", "pcm_s16le", tone(1))
    assert decode_elsewhere([spool / "upload"]) == ["invalid_file_format"]


def test_no_format_that_opens_other_files_is_allowed() -> None:
    allowed = set(container._FORMATS.split(","))  # noqa: SLF001
    others = "concat dash hls image2 imf lavfi rtp rtsp sap sdp vobsub webm_dash_manifest alsa fbdev oss x11grab"
    assert not allowed & set(others.split())


def test_the_documentation_lists_the_formats() -> None:
    page = (Path(__file__).parents[2] / "docs" / "openai.md").read_text(encoding="utf-8")
    listed = re.search(r"## Files\n(.*?)\n## ", page, re.DOTALL)
    assert listed is not None
    names = set(re.findall(r"`([a-z0-9]+)`", listed.group(1)))
    assert names >= {*WRITTEN, "sph", "dsf", "wav", "mp3", "mp4", "m4a", "webm", "mkv", "ogg", "opus", "flac"}
