"""Files as FFmpeg's libraries read them: which are opened, which track is taken, what survives of damaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import av

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame

# A file whose container cannot be read this often in a row has nothing more to give.
_MAX_READ_ERRORS = 100
# Tracks that are tried until one has sound.
_MAX_TRACKS = 8
# Bytes in a packet of a WAV file, whose own packets are so small that half of the time goes into handling them.
_WAV_PACKET = "65536"

# Demuxers for single files with sound; docs/openai.md lists them by their everyday names. Left out are playlists and
# scripts (hls, concat, sdp, vobsub …), which open further files; pictures and devices; sound without a header, which
# nothing tells what it is; and formats of games, whose decoders are little tried: one flipped bit in an ADX file is a
# division by zero, which ends the process.
_FORMATS = (
    # sound
    "aac,ac3,adts,aiff,amr,amrnb,amrwb,ape,au,caf,dsf,dss,dts,dtshd,eac3,flac,gsm,ilbc,ircam,latm,loas,mlp,mmf,mp3,mpc,mpc8,"
    "nistsphere,oma,opus,qcp,shn,sox,spdif,tak,truehd,tta,voc,w64,wav,wsaud,wv,"
    # sound and pictures
    "3g2,3gp,asf,asf_o,avi,dv,flv,gxf,live_flv,m4a,matroska,mj2,mov,mp4,mpeg,mpegts,mxf,nut,ogg,rm,swf,webm,wtv"
)
# What PyAV raises for bytes that are no audio: IndexError, RuntimeError and ValueError are for odd tracks and layouts.
DECODE_ERRORS = (av.error.FFmpegError, IndexError, OverflowError, RuntimeError, ValueError)


class _Source:
    """A part of a file as PyAV reads it; a seek to nowhere, which hostile offsets cause, fails here and not in PyAV."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._start = start
        self._end = end
        file.seek(start)

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int) -> int:
        base = {0: self._start, 1: self._file.tell(), 2: self._end}.get(whence)
        try:
            return -1 if base is None or base + offset < self._start else self._file.seek(base + offset) - self._start
        except (OSError, OverflowError, ValueError):
            return -1


def open_container(file: BinaryIO, start: int, end: int) -> Any:
    """What lies in [start, end) as a container to be closed; raises one of DECODE_ERRORS. Nothing else is opened."""
    # A file object and no name: FFmpeg would take a name for a URL.
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_size": _WAV_PACKET}
    return av.open(_Source(file, start, end), mode="r", metadata_errors="ignore", options=options)


def tracks(container: Any) -> list[Any]:
    """The audio tracks that can be decoded, first the one that a player would play: the default, else the first."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    known.sort(key=lambda stream: (not stream.disposition & stream.disposition.__class__.default, stream.index))
    for stream in known[:_MAX_TRACKS]:
        _simplify_layout(stream.codec_context)
    return known[:_MAX_TRACKS]


def _simplify_layout(codec: Any) -> None:
    """Forget the order of channels where the file has one of its own, such as right before left.

    FFmpeg keeps such an order in a block of memory, which PyAV frees twice: with the frame and with the frame's layout.
    The process ends there. Layouts that have a name own no memory.
    """
    layout = codec.layout
    channels = layout.nb_channels
    name = layout.name if channels > 0 else ""
    # This frees the block, and the codec is given a layout without one before anybody looks at it again.
    del layout
    if "(" in name or "ambisonic" in name:
        codec.layout = f"{channels} channels"


def frames(
    container: Any, track: Any, skipped: Callable[[], None], passed: Callable[[Any], None]
) -> Iterator[AudioFrame]:
    """Decoded frames; what cannot be read or decoded is left out, and `skipped` is called for each such packet.

    `passed` is called with every packet of another track: an hour of film may come before the first sound.
    """
    failures = 0
    while True:
        try:
            for packet in container.demux():
                failures = 0
                if packet.stream.index != track.index:
                    passed(packet)
                    continue
                try:
                    decoded = packet.decode()
                except DECODE_ERRORS:
                    skipped()
                    continue
                yield from decoded
        except av.error.FFmpegError:
            # demux is a generator and over after an error; the container itself goes on behind the damage
            failures += 1
            skipped()
            if failures < _MAX_READ_ERRORS:
                continue
        except IndexError:
            # at the end, after a track that the container did not announce
            pass
        return
