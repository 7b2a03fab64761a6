"""The interface of decoded audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Sound(Protocol):
    """Mono samples at 16 kHz that are read in stretches.

    The sound may still be decoded. Each call waits for what it needs, and raises the error that ended the decoding.
    """

    @property
    def samples(self) -> int:
        """Number of samples; waits for the last one."""
        ...

    @property
    def duration(self) -> float:
        """Duration in seconds; waits for the last sample."""
        ...

    def reaches(self, sample: int) -> bool:
        """True if there is a sample of this index."""
        ...

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) between -1 and 1; indices outside of the sound are ignored."""
        ...
