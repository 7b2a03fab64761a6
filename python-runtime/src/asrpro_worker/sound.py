"""What the rest of the worker needs of a decoded file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Sound(Protocol):
    """Mono samples at 16 kHz, read a stretch at a time."""

    @property
    def samples(self) -> int:
        """How many there are."""
        ...

    @property
    def duration(self) -> float:
        """Seconds."""
        ...

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop), in -1 to 1; what lies outside of the sound is left away."""
        ...
