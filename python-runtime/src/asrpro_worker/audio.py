"""Any audio or video file to PCM, packet by packet, with FFmpeg's libraries inside PyAV.

A loop of our own, because the ready-made ones stop silently at the first bad packet, follow a changed sample rate into
noise, or allocate by what a hostile header claims.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from asrpro_worker.errors import WorkerError
from asrpro_worker.pcm import RATE, Pcm, spool_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

MIN_SECONDS = Fraction(1, 10)
MAX_SECONDS = 12 * 3600
_RATES = range(1_000, 768_001)
# A file whose container cannot be read this often in a row has nothing more to give.
_MAX_READ_ERRORS = 100
# Two channels cancel when their mean keeps less than this part of their energy (-20 dB).
_CANCELLED = 0.01

# Samples, of each channel, that are handled at once. Frames have about 1000; at 8 bytes and 64 channels it is 8 MB.
_AT_ONCE = 16_384
# Bytes in a packet of a WAV file, whose own packets are so small that half of the time goes into handling them.
_WAV_PACKET = "65536"

# Demuxers for files of sound. Playlists and scripts (hls, concat, dash …) are left out: they open further files.
_FORMATS = (
    "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,m4a,matroska,mov,mp3,mp4,mpeg,mpegts,mpc,mpc8,ogg,opus,"
    "rm,tta,w64,wav,webm,wv,3gp,3g2,mj2,loas,latm,truehd,gsm,amrnb,amrwb"
)
_NOT_AUDIO = (
    "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
)
# What PyAV raises for bytes that are no audio. IndexError and ValueError come from odd stream tables and layouts.
_DECODE_ERRORS = (av.error.FFmpegError, IndexError, ValueError)


class _Source:
    """A file as PyAV reads one; a seek to nowhere, which hostile offsets cause, fails there and not in PyAV."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


def decode(path: str, progress: Callable[[float], None]) -> Pcm:
    """The sound of a file as PCM; the caller closes it.

    `progress` is called with the seconds decoded so far and may raise to stop. Raises WorkerError:
    `invalid_file_format`, `audio_too_short` (under 0.1 s) or `audio_too_long`.
    """
    pcm, balance = _decode_into(path, progress, channel=None)
    if balance.cancels:
        # One channel is the other upside down (a recording made with a balanced cable): the mean is silence.
        pcm.close()
        pcm, balance = _decode_into(path, progress, channel=0)
    if balance.seconds < MIN_SECONDS:
        pcm.close()
        if pcm.samples == 0 and balance.seconds == 0:
            raise WorkerError("invalid_file_format", f"{_NOT_AUDIO}. The file holds no sound.", "file")
        raise WorkerError("audio_too_short", "Audio file is too short. Minimum audio length is 0.1 seconds.", "file")
    return pcm


@dataclass
class _Balance:
    """Length of the source, samples by rate, and the energy of two channels beside that of their mean."""

    samples: Counter[int] = field(default_factory=Counter)
    channels: float = 0.0
    mean: float = 0.0

    @property
    def seconds(self) -> Fraction:
        return sum((Fraction(count, rate) for rate, count in self.samples.items()), Fraction(0))

    @property
    def cancels(self) -> bool:
        return self.channels > 0 and self.mean < _CANCELLED * self.channels


def _decode_into(path: str, progress: Callable[[float], None], channel: int | None) -> tuple[Pcm, _Balance]:
    pcm, balance = Pcm(spool_directory(path)), _Balance()
    try:
        with Path(path).open("rb") as file:
            _decode_file(file, pcm, balance, progress, channel)
    except _DECODE_ERRORS as error:
        pcm.close()
        log.info("The file cannot be decoded: %s", type(error).__name__)
        raise WorkerError("invalid_file_format", _NOT_AUDIO, "file") from error
    except BaseException:
        pcm.close()
        raise
    return pcm, balance


def _decode_file(
    file: BinaryIO, pcm: Pcm, balance: _Balance, progress: Callable[[float], None], channel: int | None
) -> None:
    # A file object and no name: FFmpeg would take a name for a URL.
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_size": _WAV_PACKET}
    with av.open(_Source(file), mode="r", metadata_errors="ignore", options=options) as container:
        stream = _choose_stream(container.streams.audio)
        sound = _Sound(pcm, balance, channel)
        for frame in _frames(container, stream, pcm):
            if frame.sample_rate not in _RATES:
                raise ValueError(f"sample rate {frame.sample_rate}")
            if sound.push(frame):
                if balance.seconds > MAX_SECONDS:
                    hours = MAX_SECONDS // 3600
                    raise WorkerError("audio_too_long", f"The audio is longer than {hours} hours; split it.", "file")
                progress(pcm.duration)
        sound.flush()


def _choose_stream(streams: Any) -> Any:
    """The track that a player would play: the one marked as default, else the first."""
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise IndexError("no audio stream")
    return min(known, key=lambda stream: (not stream.disposition & stream.disposition.__class__.default, stream.index))


def _frames(container: Any, stream: Any, pcm: Pcm) -> Iterator[AudioFrame]:
    """Decoded frames; packets that cannot be read or decoded are counted and left out."""
    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                failures = 0
                try:
                    frames = packet.decode()
                except _DECODE_ERRORS:
                    pcm.skipped_packets += 1
                    continue
                yield from frames
        except av.error.FFmpegError:
            # demux is a generator and over after an error; the container itself goes on behind the damage
            failures += 1
            pcm.skipped_packets += 1
            if failures < _MAX_READ_ERRORS:
                continue
        return


def _finite(frame: AudioFrame) -> AudioFrame:
    """The frame without NaN and infinity, which float files can hold and which poison everything after them."""
    if not frame.format.name.startswith(("flt", "dbl")):
        return frame
    samples: Any = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame
    clean = AudioFrame.from_ndarray(
        np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), format=frame.format.name, layout=frame.layout.name
    )
    clean.sample_rate = frame.sample_rate
    return clean


def _weigh(frame: AudioFrame, balance: _Balance) -> None:
    if len(frame.layout.channels) != 2:  # noqa: PLR2004 - a pair
        balance.channels = balance.mean = 0.0
        return
    samples = frame.to_ndarray().astype(np.float32)
    left, right = samples if len(samples) == 2 else (samples[0, ::2], samples[0, 1::2])  # noqa: PLR2004
    balance.channels += float(np.square(left).sum() + np.square(right).sum()) / 2
    balance.mean += float(np.square((left + right) / 2).sum())


class _Sound:
    """Decoded frames on their way into the PCM: gathered, checked, resampled to mono 16 kHz, written.

    Frames hold some hundredths of a second; handled one by one they would cost more than their decoding. What changes
    its format, layout or rate on the way gets a new resampler. `channel` picks one of two instead of mixing.
    """

    def __init__(self, pcm: Pcm, balance: _Balance, channel: int | None) -> None:
        self._pcm = pcm
        self._balance = balance
        self._channel = channel
        self._source: tuple[str, str, int] | None = None
        self._gathered = AudioFifo()
        self._resampler = AudioResampler()

    def push(self, frame: AudioFrame) -> bool:
        """Take a frame; True when something was handed on to the PCM."""
        # The times of broken files make the resampler insert or drop sound.
        frame.pts = None
        rate = frame.sample_rate
        source = (frame.format.name, frame.layout.name, rate)
        changed = source != self._source
        if changed:
            self.flush()
            self._source, self._gathered = source, AudioFifo()
            layout = "mono" if self._channel is None else "stereo"
            self._resampler = AudioResampler(format="s16", layout=layout, rate=RATE)
        self._balance.samples[rate] += frame.samples
        self._gathered.write(frame)
        enough = self._gathered.samples >= _AT_ONCE
        if enough:
            self._hand_on()
        return changed or enough

    def flush(self) -> None:
        """Write what is still on the way."""
        if self._source is not None:
            self._hand_on()
            self._write(None)
            self._source = None

    def _hand_on(self) -> None:
        frame = self._gathered.read()
        if frame is None:
            return
        frame = _finite(frame)
        if self._channel is None:
            _weigh(frame, self._balance)
        self._write(frame)

    def _write(self, frame: AudioFrame | None) -> None:
        for resampled in self._resampler.resample(frame):
            samples: Any = resampled.to_ndarray().reshape(-1)
            self._pcm.append(samples if self._channel is None else samples[self._channel :: 2])
