"""The process that has the model: the engine on its main thread, as NeMo wants it, and the line of what it is given.

`python -m asrpro_worker.cluster.inner FD PARENT ENGINE`, started by a replica, ends with it.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, cast

from asrpro_worker.cluster.parcel import Failed, unpack
from asrpro_worker.cluster.shared_memory import receive_batch
from asrpro_worker.engines.protocol import open_engine
from asrpro_worker.errors import JobCancelledError, as_worker_error
from asrpro_worker.job import Job
from asrpro_worker.logs import start_logging
from asrpro_worker.memory import return_unused
from asrpro_worker.parent import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.cluster.parcel import Parcel
    from asrpro_worker.engines.protocol import Engine
    from asrpro_worker.messages import Load
    from asrpro_worker.piece import Heard, Outcome, Piece

log = logging.getLogger(__name__)


class _Call:
    """A batch of pieces that was sent together. A piece that is tried again, or in halves, has more parts."""

    def __init__(self, number: int, parcels: Sequence[Parcel]) -> None:
        self.number = number
        self.jobs = [Job(parcel.request, lambda _: None) for parcel in parcels]
        self.parts: list[list[Piece]] = [[unpack(parcel, job)] for parcel, job in zip(parcels, self.jobs, strict=True)]
        self.heard: dict[Piece, Heard | Failed] = {}

    def become(self, piece: Piece, parts: list[Piece]) -> None:
        """These are to be decoded in its place."""
        for row in self.parts:
            if piece in row:
                at = row.index(piece)
                row[at : at + 1] = parts

    def answers(self) -> list[Heard | Failed] | None:
        """One for each piece as it was sent, when all of them are there."""
        if any(part not in self.heard for row in self.parts for part in row):
            return None
        return [_joined([self.heard[part] for part in row]) for row in self.parts]


class Line:
    """Pieces of all calls, in the order in which they came; those that are tried again come first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[int, _Call] = {}
        self._waiting: deque[tuple[_Call, Piece]] = deque()

    def add(self, call: _Call) -> None:
        """Called on the thread of the connection."""
        with self._changed:
            self._calls[call.number] = call
            self._waiting.extend((call, piece) for row in call.parts for piece in row)
            self._changed.notify()

    def add_first(self, call: _Call, pieces: list[Piece]) -> None:
        """What is tried again, if somebody still waits for it."""
        with self._changed:
            if call.number in self._calls:
                self._waiting.extendleft((call, piece) for piece in reversed(pieces))

    def drop(self, number: int) -> None:
        """Nobody waits for the call any more, or it is answered."""
        with self._changed:
            call = self._calls.pop(number, None)
            if call is not None:
                for job in call.jobs:
                    job.cancel()
                self._waiting = deque(item for item in self._waiting if item[0] is not call)

    def take(self, most: int) -> list[tuple[_Call, Piece]]:
        """Wait for the next pieces."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]


def main() -> None:
    """Load, say so, and decode until the replica ends."""
    descriptor, parent, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    die_with_parent(parent)
    start_logging("info")
    connection = Connection(descriptor)
    load: Load = connection.recv()
    sending = threading.Lock()

    def send(*message: Any) -> None:
        with sending:
            connection.send(message)

    try:
        engine = _open(name)
        facts = engine.load(load, lambda phase: send("phase", phase))
    except Exception as error:
        log.exception("The model cannot be loaded")
        failure = as_worker_error(error)
        code = "model_load_failed" if failure.code == "internal_error" else failure.code
        send("failed", Failed(code, failure.message, failure.param))
        os._exit(1)
    return_unused()
    send("loaded", facts)
    line = Line()
    threading.Thread(target=_receive, args=(connection, line), name="receive", daemon=True).start()
    while True:
        for call in _decode(engine, line, line.take(facts.batch)):
            if (answers := call.answers()) is not None:
                line.drop(call.number)
                send("done", call.number, answers)


def _receive(connection: Connection, line: Line) -> None:
    while True:
        try:
            kind, number, *rest = connection.recv()
        except EOFError:
            os._exit(0)
        if kind == "decode":
            line.add(_Call(number, receive_batch(connection, *rest)))
        else:
            line.drop(number)


def _decode(engine: Engine, line: Line, taken: list[tuple[_Call, Piece]]) -> list[_Call]:
    """The calls that have more answers than before. What fails together is tried alone."""
    pieces = [piece for _, piece in taken]

    def alive() -> None:
        if not any(piece.job.wanted for piece in pieces):
            raise JobCancelledError

    try:
        outcomes: Sequence[Outcome | Exception] = engine.decode(pieces, alive)
    except JobCancelledError:
        return []
    except Exception as error:
        if len(taken) > 1:
            log.exception("A batch of %d pieces failed; each is tried alone", len(taken))
            return [call for one in taken for call in _decode(engine, line, [one])]
        log.exception("A piece failed")
        outcomes = [error]
    for (call, piece), outcome in zip(reversed(taken), reversed(outcomes), strict=True):
        if isinstance(outcome, list):
            call.become(piece, outcome)
            line.add_first(call, outcome)
        elif isinstance(outcome, Exception):
            failure = as_worker_error(outcome)
            call.heard[piece] = Failed(failure.code, failure.message, failure.param)
        else:
            call.heard[piece] = outcome
    return list(dict.fromkeys(call for call, _ in taken))


def _joined(parts: list[Heard | Failed]) -> Heard | Failed:
    """What was heard in the parts of a piece, as of one."""
    from asrpro_worker.piece import Heard

    failed = next((part for part in parts if isinstance(part, Failed)), None)
    if failed is not None or len(parts) == 1:
        return failed or parts[0]
    heard = cast("list[Heard]", parts)
    return Heard(
        [segment for part in heard for segment in part.segments], heard[0].language, heard[0].language_probability
    )


def _open(name: str) -> Engine:
    """An engine by its name; one with a dot is a module, of a test or the bench."""
    return cast("Engine", importlib.import_module(name).create()) if "." in name else open_engine(name)


if __name__ == "__main__":
    main()
