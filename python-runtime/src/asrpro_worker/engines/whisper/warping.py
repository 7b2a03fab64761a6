"""Dynamic time warping for Whisper's word times: the cheapest path through tokens and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_frames(cost: NDArray[np.float32]) -> list[int]:
    """The first frame of each token on the cheapest path through `cost`, shape (tokens, frames)."""
    rows, columns = cost.shape
    # A diagonal depends only on the two before it, so each is computed at once: thousands of steps instead of millions.
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((rows + 1, columns + 1), np.int8)
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        both, row, column = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        step = np.where((both < row) & (both < column), 0, np.where((row < both) & (row < column), 1, 2))
        total[i, j] = cost[i - 1, j - 1] + np.choose(step, [both, row, column])
        came[i, j] = step
    first = [0] * rows
    came[0, :], came[:, 0] = 2, 1
    row_at, column_at = rows, columns
    while row_at > 0 or column_at > 0:
        if row_at > 0:
            first[row_at - 1] = max(column_at - 1, 0)
        step_at = came[row_at, column_at]
        row_at -= int(step_at != 2)  # noqa: PLR2004 - 2: same token, next frame
        column_at -= int(step_at != 1)
    return first
