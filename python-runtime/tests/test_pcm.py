"""The file of decoded audio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media import encode, tone, wav

if TYPE_CHECKING:
    from asrpro_worker.pcm import Pcm

_LIMITED = """
import resource, sys
from asrpro_worker.audio import decode
from asrpro_worker.errors import WorkerError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    decode(sys.argv[1], lambda _: None)
except WorkerError as error:
    print(error.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for the size of files")
@pytest.mark.parametrize("late", [False, True])
def test_a_full_disk_is_reported(tmp_path: Path, late: bool) -> None:  # noqa: FBT001
    if late:
        path = encode(tmp_path / "file.mkv", "aac", tone(1), at=[(2, tone(1))], picture=4)
    else:
        path = wav(tmp_path / "file.wav", tone(2), 16)
    source = Path(__file__).parents[1] / "src"
    answer = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
        check=False,
    )
    assert (answer.stdout, answer.returncode) == ("disk_full\n", 0), answer.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_silence_between_and_after_sound(pcm: Pcm) -> None:
    pcm.append_silence(100)
    pcm.append(np.full(50, 16384, np.int16))
    pcm.append_silence(100)
    pcm.append(np.full(1, 16384, np.int16))
    pcm.append_silence(7)
    expected = np.concatenate([np.zeros(100), np.full(50, 0.5), np.zeros(100), [0.5], np.zeros(7)])
    np.testing.assert_array_equal(pcm.read(0, pcm.samples), expected.astype(np.float32))
    assert pcm.samples == 258
