"""The features of a piece are those that Whisper was trained on."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from sounds import noise

from asrpro_worker.engines.whisper.features import FRAMES, LogMel, frames_needed


# on and off the hop of 160 samples, and the longest
@pytest.mark.parametrize("samples", [1600, 1601, 16_000 * 7 + 80, 16_000 * 30])
@pytest.mark.parametrize("mels", [80, 128])
def test_equal_to_the_extractor_and_silent_behind_the_end(samples: int, mels: int) -> None:
    sound = noise(samples / 16_000).astype(np.float32) / np.float32(32768 * 50)
    sound[samples // 3 : samples // 3 + 400] = 0.9  # one loud moment: the scale of the piece
    features = LogMel(mels)(sound)
    frames = samples // 160
    assert features.shape == (mels, FRAMES)
    np.testing.assert_allclose(features[:, :frames], FeatureExtractor(feature_size=mels)(sound)[:, :frames], atol=1e-5)
    assert (features[:, frames:] == features.min()).all()


def test_a_sound_shorter_than_its_mirror() -> None:
    assert np.isfinite(LogMel(80)(np.ones(50, np.float32))).all()


def test_a_short_window_begins_as_the_whole_one() -> None:
    sound = noise(4).astype(np.float32) / np.float32(32768 * 50)
    needed = frames_needed(len(sound))
    assert 1200 <= needed < FRAMES
    np.testing.assert_array_equal(LogMel(80)(sound, needed), LogMel(80)(sound)[:, :needed])
    assert frames_needed(16_000 * 30) == FRAMES
