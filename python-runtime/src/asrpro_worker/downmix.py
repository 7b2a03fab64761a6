"""Several channels to one, so that what is spoken on any of them is heard."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Weights = NDArray[np.float64]

# One decision holds for this part of a second. With a sixth of a second a channel whose phase turns lost half a word.
_BLOCKS = 16
# The samples behind a change of mind over which the old mixture fades into the new one; a step would be a click.
_FADE = 256
# Of more than two channels those count that have this part (-30 dB) of the loudest one's energy. The mean over 64
# channels, of which 63 are silent, would be too quiet to be found by the voice activity detector.
_ACTIVE = 1e-3
# Channels that have nothing in common keep this energy together: the sum of w² E. With less than three quarters of it
# they cancel, as the two wires of a balanced cable do, even where each has noise of its own.
_CANCELLED = 0.75
# Decisions are made on the difference of samples this far apart: it passes what speech is understood by, and neither a
# constant offset nor the hum of the mains, which would hide that the rest cancels.
_PEAK_HERTZ = 3000
# A channel that was never 6 dB louder than at its most quiet in 10 s is steady, as noise is. It is left out while
# another is lively, 20 dB, as speech is: noise as loud as speech would cover it.
_HISTORY = 10 * _BLOCKS
_KNOWN = 8
_STEADY = 4
_LIVELY = 100
# What a film's channels count for speech, as in the mixtures of ITU-R BS.775; other channels count like the sides.
_WEIGHTS = {"FC": 1.0, "FL": 0.71, "FR": 0.71, "LFE": 0.1, "LFE2": 0.1}
_OTHER = 0.5


class Downmix:
    """Mixes samples, one call behind the other. `names` are those of FFmpeg, such as FL; others count the same.

    Two channels are their mean, as everywhere. More are the weighted mean of those that are not silent. Where the
    mixture cancels it is the loudest channel instead, and steady noise beside speech is left out.
    """

    def __init__(self, names: Sequence[str], rate: int = 16_000) -> None:
        film = "FC" in names and len(names) > 2  # noqa: PLR2004 - more than a pair
        base = np.array([_WEIGHTS.get(name, _OTHER) if film else 1.0 for name in names])
        self._base: Weights = base / base.sum()
        self._weights: Weights | None = None
        self._loudest = -1
        self._apart = max(1, round(rate / 2 / _PEAK_HERTZ))
        self._block = max(_FADE, rate // _BLOCKS)
        self._levels: deque[Samples] = deque(maxlen=_HISTORY)
        self._noise: NDArray[np.bool_] = np.zeros(len(names), bool)

    def mix(self, samples: Samples) -> Samples:
        """Samples of shape (n, channels) as (n,)."""
        blocks = [samples[start : start + self._block] for start in range(0, len(samples), self._block)]
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
        block = block[self._apart :] - block[: -self._apart]
        if len(block) == 0:
            return self._base if self._weights is None else self._weights
        products = block.T @ block / len(block)
        energy = products.diagonal().copy()
        self._listen(energy)
        heard = np.where(self._noise, 0, energy)
        peak = heard.max()
        if peak == 0:
            weights = self._base if self._weights is None else self._weights
        else:
            weights = self._mixture(heard, peak)
            if weights @ products @ weights < _CANCELLED * (weights**2 @ energy):
                weights = self._alone(heard, peak)
        if self._weights is None or not np.array_equal(weights, self._weights):
            self._weights = weights
        return self._weights

    def _listen(self, energy: Samples) -> None:
        """Learn which channels are noise."""
        self._levels.append(energy)
        if len(self._levels) < _KNOWN:
            return
        levels = np.stack(self._levels)
        lowest, highest = levels.min(axis=0), levels.max(axis=0)
        steady = highest < _STEADY * lowest
        lively = highest > _LIVELY * lowest
        self._noise = steady & (self._noise | lively.any())

    def _mixture(self, energy: Samples, peak: np.floating[Any]) -> Weights:
        if len(energy) == 2:  # noqa: PLR2004 - a pair
            return np.where(self._noise, 0, self._base) if self._noise.any() else self._base
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
