"""Greedy transducer decoding of several pieces in lockstep, each with its own choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from asrpro_worker.engines.token_choice import log_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.engines.parakeet.files import ParakeetDirectory
    from asrpro_worker.engines.parakeet.network import Network
    from asrpro_worker.engines.token_choice import Choice, Found


@dataclass
class _Row:
    """The state of one piece. `at`: the current frame; `emitted`: tokens emitted in it."""

    heard: Any
    choice: Choice
    at: int = 0
    emitted: int = 0
    found: Found = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.at >= len(self.heard)


def transduce(
    network: Network, directory: ParakeetDirectory, encoded: Sequence[Any], choices: Sequence[Choice]
) -> list[Found]:
    """The tokens of each piece. TDT reports how many frames a token lasts, RNNT does not."""
    blank = len(directory.vocabulary)
    rows = [_Row(network.joined(one), choice) for one, choice in zip(encoded, choices, strict=True)]
    mx.eval([row.heard for row in rows])
    last = [blank] * len(rows)
    predicted, state = network.predict(last, network.start(len(rows)))
    while not all(row.done for row in rows):
        heard = mx.stack([row.heard[min(row.at, len(row.heard) - 1)] for row in rows])
        advanced = [False] * len(rows)
        for index, (row, scores) in enumerate(zip(rows, network.joint(heard, predicted), strict=True)):
            if row.done:
                continue
            step = directory.durations[int(scores[blank + 1 :].argmax())] if directory.durations else -1
            token, _ = row.choice.token(scores[: blank + 1])
            if token != blank:
                row.choice.advance(token)
                end = row.at + max(1, step) if step >= 0 else None
                row.found.append((token, row.at, end, log_probability(scores[: blank + 1], token)))
                row.emitted += 1
                last[index], advanced[index] = token, True
            if step > 0:
                row.at, row.emitted = row.at + step, 0
            elif token == blank or row.emitted == directory.max_tokens_per_frame:
                row.at, row.emitted = row.at + 1, 0
        if any(advanced):
            new, new_state = network.predict(last, state)
            # Rows with a blank keep their prediction and state.
            mask = mx.array(advanced)[:, None]
            predicted = mx.where(mask, new, predicted)
            state = [
                (mx.where(mask, new_output, output), mx.where(mask, new_cell, cell))
                for (new_output, new_cell), (output, cell) in zip(new_state, state, strict=True)
            ]
    return [row.found for row in rows]
