"""Makes speech equally loud for the voice activity detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.rumble import without_rumble

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 512
"""Samples per probability of the detector (32 ms)."""

MARGIN = 24
"""The level of a window is that of this many windows before and after it."""

# The detector finds no speech below -60 dB, and misses some below -45 dB. Quiet sound is therefore amplified until the
# RMS of its 8th loudest window is _TARGET_RMS, by 50 dB at most. Noise and tones get low probabilities at any level.
# With one level for a whole minute, a fifth of the speech that was 34 dB below another speaker's was lost.
_TARGET_RMS = 0.03
_LOUDEST_WINDOWS = 8
_MIN_LEVEL = 1e-4


def audible(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples for the detector, shape (windows, 512). The last window is padded with silence."""
    clean = without_rumble(samples)
    windows = np.pad(clean, (0, -len(clean) % WINDOW)).reshape(-1, WINDOW)
    gain = _TARGET_RMS / np.clip(_levels(windows), _MIN_LEVEL, _TARGET_RMS)
    edges = np.concatenate([gain[:1], (gain[1:] + gain[:-1]) / 2, gain[-1:]])
    ramp = np.arange(WINDOW, dtype=np.float32) / WINDOW
    gains = edges[:-1, None] + np.diff(edges)[:, None] * ramp
    return windows * gains.astype(np.float32)


def _levels(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The RMS of the 8th loudest window around each window."""
    rms = np.sqrt(np.square(windows).mean(axis=1))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(rms, MARGIN, "symmetric"), 2 * MARGIN + 1)
    levels: NDArray[np.float32] = np.partition(around, -_LOUDEST_WINDOWS, axis=1)[:, -_LOUDEST_WINDOWS]
    return levels
