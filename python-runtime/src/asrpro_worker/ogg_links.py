"""Finds the links of chained Ogg files, such as recordings of radio streams or `cat one.ogg two.ogg`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_PAGE = b"OggS\0"
_HEADER = 27
_SEARCHED = 65_536
# The flag of a stream's first page, and the codec headers such a page begins with. The flag alone may be a flipped bit.
_BEGINS = 2
_CODECS = (
    b"OpusHead",
    b"\x01vorbis",
    b"\x7fFLAC",
    b"Speex",
    b"\x80theora",
    b"fishead",
    b"BBCD",
    b"OVP80",
    b"fLaC",
    b"PCM  ",
)


def links(file: BinaryIO) -> list[tuple[int, int]]:
    """The byte range [start, end) of each link. A file that is not Ogg is a single link.

    FFmpeg decodes a later link only if it has the format of the first; it drops all packets of other links.
    """
    end = file.seek(0, 2)
    starts = [0]
    file.seek(0)
    if file.read(len(_PAGE)) == _PAGE:
        starts += _later_starts(file)
    return list(zip(starts, [*starts[1:], end], strict=True))


def _later_starts(file: BinaryIO) -> list[int]:
    starts: list[int] = []
    position = 0
    began = True
    while True:
        file.seek(position)
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            return starts
        if not header.startswith(_PAGE):
            found = _next_page(file, position + 1)
            if found is None:
                return starts
            position = found
            continue
        lengths = file.read(header[26])
        begins = bool(header[5] & _BEGINS) and file.read(8).startswith(_CODECS)
        if begins and not began:
            starts.append(position)
        began = begins
        position += _HEADER + len(lengths) + sum(lengths)


def _next_page(file: BinaryIO, position: int) -> int | None:
    while True:
        file.seek(position)
        content = file.read(_SEARCHED)
        found = content.find(_PAGE)
        if found >= 0:
            return position + found
        if len(content) < _SEARCHED:
            return None
        position += len(content) - len(_PAGE) + 1
