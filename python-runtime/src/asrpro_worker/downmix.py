"""Mixes several channels into one, so that speech on any channel stays audible."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Weights = NDArray[np.float64]

# Weights are decided for each 1/16 s. With blocks of 1/6 s, half a word was lost when the phase of a channel turned.
_BLOCKS_PER_SECOND = 16
# Samples over which new weights are faded in; an abrupt change would click.
_FADE = 256
# Of more than two channels, only those with this share (-30 dB) of the loudest channel's energy are mixed. The mean of
# one active and 63 silent channels would be too quiet for the voice activity detector.
_ACTIVE = 1e-3
# The mixture of uncorrelated channels has the energy sum(w² E). With less than three quarters of it the channels count
# as cancelling, like the two wires of a balanced cable, even if each adds its own noise.
_CANCELLED = 0.75
# Weights are decided on a difference of samples, which passes this frequency best. It passes the frequencies of speech,
# but neither DC offset nor mains hum, which could hide that the speech cancels.
_PEAK_HERTZ = 3000
# A channel is steady, like noise, if its energy stayed within 6 dB for 10 s. It is left out while another channel is
# lively, like speech (20 dB), because noise as loud as speech would mask it. Both need 8 blocks to be known.
_HISTORY = 10 * _BLOCKS_PER_SECOND
_MIN_BLOCKS = 8
_STEADY = 4
_LIVELY = 100
# Weights of film channels as in the downmix of ITU-R BS.775; all other channels have the weight of the side channels.
_WEIGHTS = {"FC": 1.0, "FL": 0.71, "FR": 0.71, "LFE": 0.1, "LFE2": 0.1}
_OTHER = 0.5


class Downmix:
    """Mixes consecutive blocks of samples. `names` are FFmpeg's names of the channels, such as FL.

    Two channels give their mean, more than two the weighted mean of those that are not silent. If that mixture would
    cancel, the loudest channel is used alone. Steady noise beside speech is left out.
    """

    def __init__(self, names: Sequence[str], rate: int = 16_000) -> None:
        film = "FC" in names and len(names) > 2  # noqa: PLR2004 - more than a pair
        base = np.array([_WEIGHTS.get(name, _OTHER) if film else 1.0 for name in names])
        self._base: Weights = base / base.sum()
        self._weights: Weights | None = None
        self._loudest = -1
        self._lag = max(1, round(rate / 2 / _PEAK_HERTZ))
        self._block = max(_FADE, rate // _BLOCKS_PER_SECOND)
        self._levels: deque[Samples] = deque(maxlen=_HISTORY)
        self._noise: NDArray[np.bool_] = np.zeros(len(names), bool)

    def mix(self, samples: Samples) -> Samples:
        """Mix samples of shape (n, channels) to shape (n,)."""
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
        """The weights for a block; the same object as before if nothing changed."""
        block = block[self._lag :] - block[: -self._lag]
        if len(block) == 0:
            return self._base if self._weights is None else self._weights
        products = block.T @ block / len(block)
        energy = products.diagonal().copy()
        self._find_noise(energy)
        useful = np.where(self._noise, 0, energy)
        peak = useful.max()
        if peak == 0:
            weights = self._base if self._weights is None else self._weights
        else:
            weights = self._mixture(useful, peak)
            if weights @ products @ weights < _CANCELLED * (weights**2 @ energy):
                weights = self._loudest_only(useful, peak)
        if self._weights is None or not np.array_equal(weights, self._weights):
            self._weights = weights
        return self._weights

    def _find_noise(self, energy: Samples) -> None:
        """Update which channels are steady noise."""
        self._levels.append(energy)
        if len(self._levels) < _MIN_BLOCKS:
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

    def _loudest_only(self, energy: Samples, peak: np.floating[Any]) -> Weights:
        # Keep the previous channel while it is about as loud: the other one may be its inversion.
        if self._loudest < 0 or energy[self._loudest] < peak / 2:
            self._loudest = int(energy.argmax())
        weights = np.zeros(len(energy))
        weights[self._loudest] = 1
        return weights
