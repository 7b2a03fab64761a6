"""Removes DC offset, mains hum and rumble from recordings where they are strong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Sound counts as rumbling if its loudest windows of 32 ms are this many times as loud as their changes within 4 ms. In
# 91 recordings of clean speech this was at most 1.11 times.
_RUMBLE = 1.2
_WINDOW = 512
_SLOW = 64
_LOUDEST_WINDOWS = 8
# Lower frequencies are removed, higher ones are kept, in hertz.
_STOP, _PASS = 65.0, 110.0


def without_rumble(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples, shape (n,), without low frequencies if these are strong.

    With an offset of half of the range, tiny.en made 42 instead of 17 errors in 97 quiet words, and the voice activity
    detector found no speech at all.
    """
    whole = samples[: len(samples) // _WINDOW * _WINDOW]
    if len(whole) == 0:
        return samples
    slow = whole.reshape(-1, _WINDOW // _SLOW, _SLOW).mean(axis=2)
    power = np.square(whole.reshape(-1, _WINDOW)).mean(axis=1)
    changes = np.maximum(power - np.square(slow).mean(axis=1), 0)
    return _high_pass(samples) if _loud(power) > _RUMBLE**2 * _loud(changes) else samples


def _loud(power: NDArray[np.float32]) -> float:
    count = min(_LOUDEST_WINDOWS, len(power))
    return float(np.partition(power, -count)[-count])


def _high_pass(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    # The mirror images keep the ends from ringing.
    edge = min(RATE, len(samples) - 1)
    spectrum = np.fft.rfft(np.pad(samples, edge, mode="reflect"))
    frequencies = np.fft.rfftfreq(len(samples) + 2 * edge, 1 / RATE)
    spectrum *= np.clip((frequencies - _STOP) / (_PASS - _STOP), 0, 1)
    filtered = np.fft.irfft(spectrum, len(samples) + 2 * edge)[edge : edge + len(samples)]
    return filtered.astype(np.float32)
