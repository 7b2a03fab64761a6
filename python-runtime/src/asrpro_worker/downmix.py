"""Several channels to one, so that what is spoken on any of them is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

# Samples, of each channel, for which one decision holds: 85 ms of most files, half a second of a telephone call.
_BLOCK = 4096
# The samples behind a change of mind over which the old mixture fades into the new one; a step would be a click.
_FADE = 256
# Of more than two channels those count that have this part (-30 dB) of the loudest one's energy. The mean over 64
# channels, of which 63 are silent, would be too quiet to be found by the voice activity detector.
_ACTIVE = 1e-3
# Channels that have nothing in common keep this energy together: the sum of w² E. With less than a fifth of it they
# cancel, as the two wires of a balanced cable do.
_CANCELLED = 0.2
# What a film's channels count for speech, as in the mixtures of ITU-R BS.775; other channels count like the sides.
_WEIGHTS = {"FC": 1.0, "FL": 0.71, "FR": 0.71, "LFE": 0.1, "LFE2": 0.1}
_OTHER = 0.5


class Downmix:
    """Mixes blocks of samples, one behind the other. `names` are those of FFmpeg, such as FL; others count the same.

    Two channels are their mean, as everywhere. More are the weighted mean of those that are not silent. Where the
    mixture cancels it is the loudest channel instead.
    """

    def __init__(self, names: Sequence[str]) -> None:
        film = "FC" in names and len(names) > 2  # noqa: PLR2004 - more than a pair
        weights = [_WEIGHTS.get(name, _OTHER) if film else 1.0 for name in names]
        self._base = np.array(weights, np.float64)
        self._weights: NDArray[np.float64] | None = None
        self._loudest = -1

    def mix(self, samples: Samples) -> Samples:
        """Samples of shape (n, channels) as (n,)."""
        mixed = np.empty(len(samples), np.float32)
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK]
            before, now = self._weights, self._decide(block)
            part = mixed[start : start + _BLOCK]
            part[:] = block @ now.astype(np.float32)
            if before is not None and not np.array_equal(before, now):
                old = block[:_FADE] @ before.astype(np.float32)
                rise = np.arange(len(old), dtype=np.float32) / len(old)
                part[:_FADE] = old + (part[:_FADE] - old) * rise
            self._weights = now
        return mixed

    def _decide(self, block: Samples) -> NDArray[np.float64]:
        # Less its mean: a constant offset is no sound, and would hide that the rest cancels.
        sound = block - block.mean(axis=0, dtype=np.float64)
        energy = np.einsum("nc,nc->c", sound, sound)
        peak = energy.max()
        if peak == 0:
            return np.asarray(self._base / self._base.sum()) if self._weights is None else self._weights
        pair = len(energy) == 2  # noqa: PLR2004
        active = self._base if pair else self._base * (energy >= _ACTIVE * peak)
        weights: NDArray[np.float64] = active / active.sum()
        mixed = sound @ weights
        if mixed @ mixed >= _CANCELLED * (weights**2 @ energy):
            return weights
        # The same one as before where it is about as loud: the other may be its opposite.
        if self._loudest < 0 or energy[self._loudest] < peak / 2:
            self._loudest = int(energy.argmax())
        alone = np.zeros(len(energy))
        alone[self._loudest] = 1
        return alone
