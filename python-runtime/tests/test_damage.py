"""Files with flipped bits fail only their own request, within bounded time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from sounds import AUDIO

if TYPE_CHECKING:
    from pathlib import Path

    from media import Decoding

FILES = sorted(path for path in (AUDIO / "formats").rglob("*.*") if path.suffix not in (".tsv", ".raw"))
_MAX_BYTES = 40_000


def damaged(path: Path, rng: random.Random) -> bytes:
    content = bytearray(path.read_bytes()[:_MAX_BYTES])
    for _ in range(rng.choice([1, 3, 10, 40])):
        # About half of the damage hits the headers.
        place = rng.randrange(rng.choice([200, len(content)]))
        content[place] = rng.choice([0, 255, 1, content[place] ^ (1 << rng.randrange(8))])
    return bytes(content)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_do_not_kill_the_worker(decode_elsewhere: Decoding, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - the same damage each time
    files = []
    for path in FILES:
        for number in range(2):
            files.append(tmp_path / f"{number}_{path.name}")
            files[-1].write_bytes(damaged(path, rng))
    answers = decode_elsewhere(files)
    codes = {answer for answer in answers if isinstance(answer, str)}
    assert codes <= {"invalid_file_format", "audio_too_short"}
    assert sum(isinstance(answer, list) for answer in answers) > len(files) / 3, "many files can still be decoded"
