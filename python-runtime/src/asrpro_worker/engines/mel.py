"""The mel scale, as all models here were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Slaney's scale: 3 mel for 200 Hz up to 1000 Hz, from there 27 for each factor of 6.4.
_LINEAR = 200.0 / 3.0
_KNEE = 1000.0
_STEP = np.log(6.4) / 27.0


def mel_filters(mels: int, fft: int) -> NDArray[np.float32]:
    """Triangles on the mel scale, each of the same area, as an array of shape (mels, fft / 2 + 1)."""
    knee = _KNEE / _LINEAR
    top = knee + np.log(RATE / 2 / _KNEE) / _STEP
    scale = np.linspace(0.0, top, mels + 2)
    corners = np.where(scale < knee, scale * _LINEAR, _KNEE * np.exp(_STEP * (scale - knee)))
    bins = np.linspace(0.0, RATE / 2, fft // 2 + 1)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (corners[2:] - corners[:-2]))[:, None]
    filters: NDArray[np.float32] = triangles.astype(np.float32)
    return filters
