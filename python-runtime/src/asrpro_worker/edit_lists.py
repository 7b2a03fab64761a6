"""Finds the empty edits in the middle of MP4 and QuickTime tracks.

FFmpeg knows empty edits only at the start of a track. It fills others with sound from the start of the track, which
would be heard twice.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

Holes = list[tuple[float, float]]
"""Start and end of each empty edit, in seconds of the file."""

# The first box of such a file, and the most bytes that are read of its table of contents: twelve hours need 30 MB.
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MAX_CONTENTS = 100_000_000
_SMALL, _LARGE = 8, 16


def empty_edits(file: BinaryIO, start: int, end: int) -> dict[int, Holes]:
    """The empty edits after sound, by the id of their track, in the bytes [start, end) of a file."""
    try:
        contents = _contents(file, start, end)
        movie = dict(_boxes(contents))
        # The time scale follows the version and two dates.
        (scale,) = struct.unpack_from(">I", movie[b"mvhd"], 20 if movie[b"mvhd"][0] else 12)
        tracks = [dict(_boxes(box)) for kind, box in _boxes(contents) if kind == b"trak"]
        edited = [track for track in tracks if b"edts" in track]
        return {_number(track[b"tkhd"]): _holes(dict(_boxes(track[b"edts"]))[b"elst"], scale) for track in edited}
    except (IndexError, KeyError, OSError, ValueError, ZeroDivisionError, struct.error):
        # Not such a file, or a damaged one.
        return {}


def _contents(file: BinaryIO, start: int, end: int) -> bytes:
    at, is_first = start, True
    while at < end:
        file.seek(at)
        head = file.read(_LARGE)
        size, kind = struct.unpack_from(">I4s", head)
        skipped = _SMALL
        if size == 1:
            (size,), skipped = struct.unpack_from(">Q", head, _SMALL), _LARGE
        if (is_first and kind not in _FIRST) or 0 < size < skipped:
            break
        if kind == b"moov":
            file.seek(at + skipped)
            return file.read(min(_MAX_CONTENTS, size - skipped if size else end - at))
        if size == 0:
            break
        at, is_first = at + size, False
    raise ValueError("no table of contents")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box."""
    at = 0
    while at + _SMALL <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < _SMALL:
            return
        yield kind, data[at + _SMALL : at + size]
        at += size


def _number(header: bytes) -> int:
    number: int = struct.unpack_from(">I", header, 20 if header[0] else 12)[0]
    return number


def _holes(edits: bytes, scale: int) -> Holes:
    form = ">QqI" if edits[0] else ">IiI"
    (count,) = struct.unpack_from(">I", edits, 4)
    holes: Holes = []
    time, has_sound = 0.0, False
    for number in range(count):
        length, media, _ = struct.unpack_from(form, edits, 8 + number * struct.calcsize(form))
        if media < 0 and has_sound:
            holes.append((time, time + length / scale))
        has_sound = has_sound or media >= 0
        time += length / scale
    return holes
