"""The features of a piece equal those that Whisper was trained on."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from sounds import noise
from worker_process import SOURCE

from asrpro_worker.engines.whisper.features import FRAMES, LogMel, window_frames


# Multiples of the hop of 160 samples and others, and the longest piece.
@pytest.mark.parametrize("samples", [1600, 1601, 16_000 * 7 + 80, 16_000 * 30])
@pytest.mark.parametrize("mels", [80, 128])
def test_features_equal_those_of_faster_whisper_and_end_with_silence(samples: int, mels: int) -> None:
    sound = noise(samples / 16_000).astype(np.float32) / np.float32(32768 * 50)
    sound[samples // 3 : samples // 3 + 400] = 0.9  # a loud moment, which sets the scale
    features = LogMel(mels)(sound)
    frames = samples // 160
    assert features.shape == (mels, FRAMES)
    np.testing.assert_allclose(features[:, :frames], FeatureExtractor(feature_size=mels)(sound)[:, :frames], atol=1e-5)
    assert (features[:, frames:] == features.min()).all()


def test_a_sound_shorter_than_its_mirror_image() -> None:
    assert np.isfinite(LogMel(80)(np.ones(50, np.float32))).all()


def test_a_short_window_equals_the_start_of_the_full_window() -> None:
    sound = noise(4).astype(np.float32) / np.float32(32768 * 50)
    window = window_frames(len(sound))
    assert 1200 <= window < FRAMES
    np.testing.assert_array_equal(LogMel(80)(sound, window), LogMel(80)(sound)[:, :window])
    assert window_frames(16_000 * 30) == FRAMES


_DIGEST = """
import hashlib
from asrpro_worker.engines.whisper.features import LogMel
import numpy as np
sound = np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32)
print(hashlib.sha256(LogMel(80)(sound).tobytes()).hexdigest())
"""


def test_features_do_not_depend_on_the_number_of_threads() -> None:
    def digest(threads: int) -> bytes:
        # Ray sets this variable for each replica.
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": str(threads)}
        environment.pop("OPENBLAS_NUM_THREADS", None)
        return subprocess.run([sys.executable, "-c", _DIGEST], env=environment, capture_output=True, check=True).stdout

    assert digest(1) == digest(2)
