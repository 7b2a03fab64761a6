"""The path of real weights, and half a minute of real speech."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sounds import AUDIO, manifest

from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
# `npm test` installs both before the first test.
WHISPER = CACHE / "asrpro-test" / "models" / "whisper-tiny.en"
BASE = WHISPER.parent / "whisper-base"


@functools.cache
def half_a_minute() -> NDArray[np.float32]:
    """30 s of joined utterances of clear speakers. Tests must not change it."""
    sounds: list[NDArray[np.float32]] = []
    for row in manifest("librispeech"):
        if sum(map(len, sounds)) >= 30 * RATE:
            break
        if "test-clean" in row["file"]:
            with decode(str(AUDIO / "librispeech" / row["file"]), lambda _: None) as pcm:
                sounds.append(pcm.read(0, pcm.samples))
    return np.concatenate(sounds)[: 30 * RATE]
