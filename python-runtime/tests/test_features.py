"""Features computed in stretches are those of the library, whatever the length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from sounds import noise

from asrpro_worker.features import WindowedFeatures

if TYPE_CHECKING:
    from asrpro_worker.pcm import Pcm


# below and above the half minute that is kept in one piece, on and off the hop of 160 samples
@pytest.mark.parametrize("samples", [1600, 1601, 16_000 * 7 + 80, 16_000 * 130 + 159])
@pytest.mark.parametrize("mels", [80, 128])
def test_equal_to_the_extractor(pcm: Pcm, samples: int, mels: int) -> None:
    sound = noise(samples / 16_000) // np.int16(50)
    sound[samples // 3 : samples // 3 + 400] = 30_000  # one loud moment: the scale of the whole file
    pcm.append(sound)
    extractor = FeatureExtractor(feature_size=mels)
    wanted = extractor(sound.astype(np.float32) / 32768)
    features = WindowedFeatures(extractor, pcm, lambda _: None)
    assert features.shape == wanted.shape
    for start in range(0, features.shape[1], 2999):
        np.testing.assert_allclose(features[:, start : start + 3000], wanted[:, start : start + 3000], atol=1e-5)
    rest = features[..., features.shape[1] // 2 :]
    np.testing.assert_allclose(rest[..., 0:9], wanted[:, features.shape[1] // 2 :][:, 0:9], atol=1e-5)


def test_memory_does_not_grow_with_length(pcm: Pcm) -> None:
    import tracemalloc

    for _ in range(20):
        pcm.append(noise(60))
    extractor = FeatureExtractor()
    tracemalloc.start()
    features = WindowedFeatures(extractor, pcm, lambda _: None)
    features[:, 0:3000]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert features.shape == (80, 120_001)
    assert peak < 100_000_000, "in one go it is 900 MB"


def test_the_pass_over_the_file_can_be_stopped(pcm: Pcm) -> None:
    class StopError(Exception):
        pass

    def stop(_: int) -> None:
        raise StopError

    pcm.append(noise(1))
    with pytest.raises(StopError):
        WindowedFeatures(FeatureExtractor(), pcm, stop)
