"""Several channels to one, so that what is spoken on any of them is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Weights = NDArray[np.float64]

# Samples, of each channel, for which one decision holds: a sixth of a second of most files, a second of telephony.
_BLOCK = 8192
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
    """Mixes samples, one call behind the other. `names` are those of FFmpeg, such as FL; others count the same.

    Two channels are their mean, as everywhere. More are the weighted mean of those that are not silent. Where the
    mixture cancels it is the loudest channel instead.
    """

    def __init__(self, names: Sequence[str]) -> None:
        film = "FC" in names and len(names) > 2  # noqa: PLR2004 - more than a pair
        base = np.array([_WEIGHTS.get(name, _OTHER) if film else 1.0 for name in names])
        self._base: Weights = base / base.sum()
        self._weights: Weights | None = None
        self._loudest = -1

    def mix(self, samples: Samples) -> Samples:
        """Samples of shape (n, channels) as (n,)."""
        blocks = [samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK)]
        before = self._weights
        decided = [self._decide(block) for block in blocks]
        if all(now is decided[0] for now in decided) and (before is None or before is decided[0]):
            return samples @ decided[0].astype(np.float32)
        mixed = []
        for block, now in zip(blocks, decided, strict=True):
            mixed.append(block @ now.astype(np.float32))
            if before is not None and before is not now:
                old = block[:_FADE] @ before.astype(np.float32)
                rise = np.arange(len(old), dtype=np.float32) / len(old)
                mixed[-1][:_FADE] = old + (mixed[-1][:_FADE] - old) * rise
            before = now
        return np.concatenate(mixed)

    def _decide(self, block: Samples) -> Weights:
        """The same object as before where nothing changed."""
        # Less the product of their means: a constant offset is no sound, and would hide that the rest cancels.
        mean = np.ones(len(block), np.float32) @ block / len(block)
        products = block.T @ block / len(block) - np.outer(mean, mean)
        energy = np.maximum(products.diagonal(), 0)
        peak = energy.max()
        if peak == 0:
            weights = self._base if self._weights is None else self._weights
        else:
            weights = self._mixture(energy, peak)
            if weights @ products @ weights < _CANCELLED * (weights**2 @ energy):
                weights = self._alone(energy, peak)
        if self._weights is None or not np.array_equal(weights, self._weights):
            self._weights = weights
        return self._weights

    def _mixture(self, energy: Samples, peak: np.floating[Any]) -> Weights:
        if len(energy) == 2:  # noqa: PLR2004 - a pair
            return self._base
        active: Weights = self._base * (energy >= _ACTIVE * peak)
        weights: Weights = active / active.sum()
        return weights

    def _alone(self, energy: Samples, peak: np.floating[Any]) -> Weights:
        # The same one as before where it is about as loud: the other may be its opposite.
        if self._loudest < 0 or energy[self._loudest] < peak / 2:
            self._loudest = int(energy.argmax())
        weights = np.zeros(len(energy))
        weights[self._loudest] = 1
        return weights
