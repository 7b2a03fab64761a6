"""Edit lists of MP4 and QuickTime files: late sound, cuts, repetitions, and silence in the middle."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media import encode, tone
from test_file_clock import tones_in

from asrpro_worker.edit_lists import empty_edits

if TYPE_CHECKING:
    from pathlib import Path

RATE = 48_000
EMPTY = -1
Edits = list[tuple[int, int]]
"""Milliseconds in the file, and start in the track in samples or EMPTY."""


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def edited(content: bytes, edits: Edits, version: int) -> bytes:
    """The boxes of a table of contents, with these edits in each track."""
    made, at = b"", 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        inner = content[at + 8 : at + size]
        if kind == b"trak":
            form = ">QqI" if version else ">IiI"
            entries = b"".join(struct.pack(form, length, start, 0x10000) for length, start in edits)
            edit_list = box(b"elst", struct.pack(">BxxxI", version, len(edits)) + entries)
            inner = edited(inner, edits, version) + box(b"edts", edit_list)
        if kind != b"edts":
            made += box(kind, inner)
        at += size
    return made


def make(directory: Path, codec: str, kind: str, edits: Edits, version: int = 0) -> Path:
    """A file with a tone at 0 to 2 s and one at 4 to 6 s of its track."""
    sound = np.concatenate([tone(2, RATE), np.zeros((1, 2 * RATE), np.float32), tone(2, RATE)], axis=1)
    path = encode(directory / f"file.{kind}", codec, sound, rate=RATE)
    content = path.read_bytes()
    at = content.rindex(b"moov") + 4
    path.write_bytes(content[: at - 8] + box(b"moov", edited(content[at:], edits, version)))
    return path


def long_tones(path: Path) -> list[tuple[float, float]]:
    return [part for part in tones_in(path)[1] if part[1] - part[0] > 0.1]


CODECS = [("aac", "mp4"), ("alac", "m4a"), ("pcm_s16le", "mov"), ("libopus", "mp4"), ("mp3", "mp4")]


@pytest.mark.parametrize(("codec", "kind"), CODECS)
@pytest.mark.parametrize("version", [0, 1])
def test_an_empty_edit_in_the_middle_is_silence(tmp_path: Path, codec: str, kind: str, version: int) -> None:
    edits = [(2000, 0), (3000, EMPTY), (4000, 2 * RATE)]
    parts = long_tones(make(tmp_path, codec, kind, edits, version))
    assert np.abs(np.subtract(parts, [(0, 2), (7, 9)])).max() < 0.1


@pytest.mark.parametrize(("codec", "kind"), CODECS)
def test_a_part_that_was_cut_out(tmp_path: Path, codec: str, kind: str) -> None:
    parts = long_tones(make(tmp_path, codec, kind, [(3000, 0), (1000, 5 * RATE)]))
    assert np.abs(np.subtract(parts, [(0, 2), (3, 4)])).max() < 0.1


def test_a_start_within_the_track(tmp_path: Path) -> None:
    parts = long_tones(make(tmp_path, "aac", "mp4", [(5000, RATE)]))
    assert np.abs(np.subtract(parts, [(0, 1), (3, 5)])).max() < 0.1


@pytest.mark.parametrize("damage", [b"mvhd", b"edts", b"elst", b"tkhd"])
@pytest.mark.parametrize("size", [0, 8, 9, 2**32 - 1])
def test_a_damaged_edit_list_is_ignored(tmp_path: Path, damage: bytes, size: int) -> None:
    path = make(tmp_path, "aac", "mp4", [(2000, 0), (3000, EMPTY), (4000, 2 * RATE)])
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.rindex(damage) - 4, size)
    path.write_bytes(content)
    with path.open("rb") as file:
        assert empty_edits(file, 0, len(content)) in ({}, {1: [(2.0, 5.0)]})
