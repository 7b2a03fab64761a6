"""The interface of decoded audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Sound(Protocol):
    """Mono samples at 16 kHz that are read in stretches."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        ...

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        ...

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) between -1 and 1; indices outside of the sound are ignored."""
        ...
