"""Opens files with FFmpeg's libraries, selects the audio track and decodes what a damaged file still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import av

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame

# After this many read errors in a row the file counts as finished.
_MAX_READ_ERRORS = 100
# How many tracks are tried until one has sound.
_MAX_TRACKS = 8
# Packet size for WAV files in bytes. Their default packets are so small that handling them takes half of the time.
_WAV_PACKET = "65536"
# How many bytes FFmpeg searches for tracks by default, and how many are searched if they have no audio track: a track
# of an MPEG file is known from its first packet on, and sound may start a minute after the picture. FFmpeg keeps these
# bytes in memory.
_PROBE = 5_000_000
_LONG_PROBE = 100_000_000

# Demuxers of single files with sound; docs/openai.md lists them by their common names. Excluded are playlists and
# scripts (hls, concat, sdp, vobsub …), which open other files; images and devices; raw audio without a header; and
# formats of games, whose decoders are poorly tested: one flipped bit in an ADX file causes a division by zero, which
# kills the process.
_FORMATS = (
    # sound
    "aac,ac3,adts,aiff,amr,amrnb,amrwb,ape,au,caf,dsf,dss,dts,dtshd,eac3,flac,gsm,ilbc,ircam,latm,loas,mlp,mmf,mp3,mpc,mpc8,"
    "nistsphere,oma,opus,qcp,shn,sox,spdif,tak,truehd,tta,voc,w64,wav,wsaud,wv,"
    # sound and pictures
    "3g2,3gp,asf,asf_o,avi,dv,flv,gxf,live_flv,m4a,matroska,mj2,mov,mp4,mpeg,mpegts,mxf,nut,ogg,rm,swf,webm,wtv"
)
# What PyAV raises for files that are not audio. Unusual tracks and layouts cause the errors that are not FFmpeg's.
DECODE_ERRORS = (av.error.FFmpegError, IndexError, OverflowError, RuntimeError, ValueError)


class _Source:
    """A byte range of a file for PyAV. Seeks out of range, caused by hostile offsets, fail here and not in PyAV."""

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
    """Open the bytes [start, end) of a file; the caller closes the container. Raises one of DECODE_ERRORS."""
    container = _open(file, start, end, {})
    if not container.streams.audio and end - start > _PROBE:
        container.close()
        container = _open(file, start, end, {"probesize": str(_LONG_PROBE), "analyzeduration": str(2**40)})
    return container


def _open(file: BinaryIO, start: int, end: int, options: dict[str, str]) -> Any:
    # A file object, because FFmpeg would treat a name as a URL. No other file is opened.
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_size": _WAV_PACKET, **options}
    return av.open(_Source(file, start, end), mode="r", metadata_errors="ignore", options=options)


class NoTrackError(IndexError):
    """The file has no audio track that can be decoded; the text is a sentence for the user."""


def tracks(container: Any) -> list[Any]:
    """The audio tracks that can be decoded, at least one, starting with the default track, which players choose too."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not known:
        encoded = container.streams.audio
        raise NoTrackError(
            "The codec of its audio track is not supported." if encoded else "The file has no audio track."
        )
    known.sort(key=lambda stream: (not stream.disposition & stream.disposition.__class__.default, stream.index))
    for stream in known[:_MAX_TRACKS]:
        _simplify_layout(stream.codec_context)
    return known[:_MAX_TRACKS]


def _simplify_layout(codec: Any) -> None:
    """Drop a custom channel order, such as right before left.

    FFmpeg stores a custom order in a heap block, which PyAV frees twice, with the frame and with the frame's layout;
    this crashes the process. Named layouts own no heap block.
    """
    layout = codec.layout
    channels = layout.nb_channels
    name = layout.name if channels > 0 else ""
    # This frees the block. The codec gets a layout without one before it is read again.
    del layout
    if "(" in name or "ambisonic" in name:
        codec.layout = f"{channels} channels"


def frames(
    container: Any, track: Any, skipped: Callable[[], None], other_track: Callable[[Any], None]
) -> Iterator[AudioFrame]:
    """Yield the decoded frames of a track. `skipped` is called for each packet that cannot be read or decoded.

    `other_track` is called with every packet of another track: an hour of video may precede the first sound.
    """
    failures = 0
    while True:
        try:
            for packet in container.demux():
                failures = 0
                if packet.stream.index != track.index:
                    other_track(packet)
                    continue
                try:
                    decoded = packet.decode()
                except DECODE_ERRORS:
                    skipped()
                    continue
                yield from decoded
        except av.error.FFmpegError:
            # The demux generator ends at an error, but the container can be read on after the damage.
            failures += 1
            skipped()
            if failures < _MAX_READ_ERRORS:
                continue
        except IndexError:
            # Raised at the end of a file with a track that its header did not announce.
            pass
        return
