"""Makes audio files in every container and codec that FFmpeg's libraries write."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from worker_process import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DECODE = """
import json, sys
from asrpro_worker.audio import decode
from asrpro_worker.errors import WorkerError
for line in sys.stdin:
    try:
        with decode(line.rstrip("\\n"), lambda _: None) as pcm:
            answer = [pcm.duration, float(abs(pcm.read(0, pcm.samples)).max())]
    except WorkerError as error:
        answer = error.code
    print(json.dumps(answer), flush=True)
"""


class Decoding:
    """Decodes files in another process, which must not crash. Tests share it: each start takes half a CPU second."""

    def __init__(self, timeout: float = 120.0) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, paths: list[Path]) -> list[Any]:
        """[seconds, peak] or the error code of each file."""
        if self._process is None:
            environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
            command = [sys.executable, "-c", _DECODE]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        return [self._decode(self._process, path) for path in paths]

    def _decode(self, process: subprocess.Popen[str], path: Path) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._timeout, process.kill)
        timer.start()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
        line = process.stdout.readline()
        timer.cancel()
        if not line:
            pytest.fail(f"the process ended with {self._end(process)} while it decoded {path.name}")
        return json.loads(line)

    def close(self) -> None:
        """End the process, which must have no error at its exit either."""
        if self._process is not None:
            assert self._end(self._process) == 0

    def _end(self, process: subprocess.Popen[str]) -> int:
        self._process = None
        process.communicate(timeout=self._timeout)
        return process.returncode


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
