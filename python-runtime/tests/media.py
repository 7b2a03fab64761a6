"""Makes audio files in every container and codec that FFmpeg's libraries write."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DECODE = """
import json, sys
from asrpro_worker.audio import decode
from asrpro_worker.errors import WorkerError
for path in sys.stdin.read().splitlines():
    try:
        with decode(path, lambda _: None) as pcm:
            answer = [pcm.duration, float(abs(pcm.read(0, pcm.samples)).max())]
    except WorkerError as error:
        answer = error.code
    print(json.dumps(answer), flush=True)
"""


def decode_elsewhere(paths: list[Path], timeout: float = 120.0) -> list[Any]:
    """Decode files in another process, which must not crash. Returns [seconds, peak] or the error code of each file."""
    source = Path(__file__).parents[1] / "src"
    answer = subprocess.run(
        [sys.executable, "-c", _DECODE],
        input="\n".join(str(path) for path in paths),
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(source)},
        check=False,
    )
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    died = paths[len(lines)].name if len(lines) < len(paths) else "none"
    assert answer.returncode == 0, f"{answer.returncode} with {died}: {answer.stderr[-500:]}"
    return lines


def encode(path: Path, codec: str, sound: NDArray[Any], *, form: str | None = None, **how: Any) -> Path:
    """Write a file with `sound` of shape (channels, n) between -1 and 1.

    `how`: rate, layout, sample (format of the encoder), options (of the encoder), muxing (options of the container),
    at (parts with their time in seconds: [(at, sound)]), picture (seconds of video).
    """
    rate = how.get("rate", 16_000)
    layout = how.get("layout") or {1: "mono", 2: "stereo"}.get(len(sound), f"{len(sound)} channels")
    with av.open(str(path), "w", format=form, options=how.get("muxing", {})) as container:
        picture = _picture(container, how["picture"]) if "picture" in how else []
        stream: Any = container.add_stream(codec, rate=rate, layout=layout, options=how.get("options", {}))
        if "sample" in how:
            stream.codec_context.format = how["sample"]
        packets = []
        for at, piece in how.get("at", [(0.0, sound)]):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(piece.T.reshape(1, -1), np.float32), format="flt", layout=layout
            )
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(at * rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if picture:
            packets = sorted([*picture, *packets], key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            container.mux(packet)
    return path


def _picture(container: Any, seconds: float) -> list[Any]:
    codec, options = (
        ("libvpx", {"deadline": "realtime", "cpu-used": "8"}) if container.format.name == "webm" else ("mpeg2video", {})
    )
    stream = container.add_stream(codec, rate=25, options=options)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    packets = []
    for number in range(round(seconds * 25)):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def tone(seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    """A tone of shape (1, n) with an amplitude of 0.5."""
    wave: NDArray[np.float32] = (np.sin(np.arange(round(seconds * rate)) * (440 * 2 * np.pi / rate)) / 2).astype("f4")
    return wave[np.newaxis]


def on_channel(number: int, channels: int, rate: int = 16_000, seconds: float = 1.0) -> NDArray[np.float32]:
    """A tone on one of many channels, shape (channels, n)."""
    sound = np.zeros((channels, round(seconds * rate)), np.float32)
    sound[number] = tone(seconds, rate)
    return sound


def wav(path: Path, sound: NDArray[Any], bits: int, *, mask: int | None = None, real: bool = False) -> Path:
    """A WAV file of 16 kHz, written byte by byte to allow any number of channels; `mask` adds the extensible header."""
    channels = len(sound)
    flat = sound.T.reshape(-1)
    if real:
        data = flat.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.round(flat * 127 + 128).astype(np.uint8).tobytes()
    else:
        wide = np.round(flat * (2.0**31 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)
        data = wide[:, 4 - bits // 8 :].tobytes()
    kind = 3 if real else 1
    align = channels * bits // 8
    head = struct.pack("<HIIHH", channels, 16_000, 16_000 * align, align, bits)
    if mask is None:
        form = struct.pack("<H", kind) + head
    else:
        guid = struct.pack("<IHH", kind, 0, 16) + bytes.fromhex("800000aa00389b71")
        form = struct.pack("<H", 0xFFFE) + head + struct.pack("<HHI", 22, bits, mask) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path
