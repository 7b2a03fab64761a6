"""The process that holds the model. It runs the engine on its main thread, which NeMo requires.

A replica starts it as `python -m asrpro_worker.cluster.engine_main FD PARENT ENGINE`; it ends with the replica.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, cast

from asrpro_worker.cluster.payload import Failed, unpack
from asrpro_worker.cluster.shared_memory import receive_batch
from asrpro_worker.engines.protocol import one_at_a_time, open_engine
from asrpro_worker.errors import JobCancelledError, as_worker_error
from asrpro_worker.job import Job
from asrpro_worker.logs import start_logging
from asrpro_worker.memory import return_unused
from asrpro_worker.parent import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrpro_worker.cluster.payload import Payload
    from asrpro_worker.engines.protocol import Engine, Facts
    from asrpro_worker.messages import Load
    from asrpro_worker.piece import Heard, Outcome, Piece

log = logging.getLogger(__name__)


class _Call:
    """One batch. A piece may be replaced by several parts, when the engine retries it or cuts it."""

    def __init__(self, number: int, payloads: Sequence[Payload]) -> None:
        self.number = number
        self.jobs = [Job(payload.request, lambda _: None) for payload in payloads]
        self.parts: list[list[Piece]] = [
            [unpack(payload, job)] for payload, job in zip(payloads, self.jobs, strict=True)
        ]
        self.results: dict[Piece, Heard | Failed] = {}

    def replace(self, piece: Piece, parts: list[Piece]) -> None:
        """Decode these parts in place of the piece."""
        for row in self.parts:
            if piece in row:
                at = row.index(piece)
                row[at : at + 1] = parts

    def answers(self) -> list[Heard | Failed] | None:
        """One result for each piece of the batch, or None while parts are missing."""
        if any(part not in self.results for row in self.parts for part in row):
            return None
        return [_joined([self.results[part] for part in row]) for row in self.parts]


class PieceQueue:
    """Pieces of all calls in order of arrival, with retried pieces in front."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[int, _Call] = {}
        self._waiting: deque[tuple[_Call, Piece]] = deque()

    def add(self, call: _Call) -> None:
        """Queue all pieces of a call. Called on the receiving thread."""
        with self._changed:
            self._calls[call.number] = call
            self._waiting.extend((call, piece) for row in call.parts for piece in row)
            self._changed.notify()

    def add_first(self, call: _Call, pieces: list[Piece]) -> None:
        """Queue pieces in front, unless their call was dropped."""
        with self._changed:
            if call.number in self._calls:
                self._waiting.extendleft((call, piece) for piece in reversed(pieces))

    def drop(self, number: int) -> None:
        """Forget a call that was cancelled or answered, and cancel its jobs."""
        with self._changed:
            call = self._calls.pop(number, None)
            if call is not None:
                for job in call.jobs:
                    job.cancel()
                self._waiting = deque(item for item in self._waiting if item[0] is not call)

    def take(self, most: int) -> list[tuple[_Call, Piece]]:
        """Wait for pieces, and take up to `most`."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]


def main() -> None:
    """Load the model, and decode until the replica ends."""
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
        facts = _one_batch_at_a_time(engine.load(load, lambda phase: send("phase", phase)))
    except Exception as error:
        log.exception("Cannot load the model")
        failure = as_worker_error(error)
        code = "model_load_failed" if failure.code == "internal_error" else failure.code
        send("failed", Failed(code, failure.message, failure.param))
        os._exit(1)
    return_unused()
    send("loaded", facts)
    queue = PieceQueue()
    threading.Thread(target=_receive, args=(connection, queue), name="receive", daemon=True).start()
    while True:
        for call in _decode(engine, queue, queue.take(facts.batch)):
            if (answers := call.answers()) is not None:
                queue.drop(call.number)
                send("done", call.number, answers)


def _one_batch_at_a_time(facts: Facts) -> Facts:
    """The main thread is the only one that decodes here, so it takes what the engine would decode side by side."""
    return replace(facts, batch=facts.batch * facts.in_flight(), in_flight=one_at_a_time)


def _receive(connection: Connection, queue: PieceQueue) -> None:
    while True:
        try:
            kind, number, *rest = connection.recv()
        except EOFError:
            os._exit(0)
        if kind == "decode":
            queue.add(_Call(number, receive_batch(connection, *rest)))
        else:
            queue.drop(number)


def _decode(engine: Engine, queue: PieceQueue, taken: list[tuple[_Call, Piece]]) -> list[_Call]:
    """Decode pieces and return the calls that they belong to. If a batch fails, each of its pieces is tried alone."""
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
            log.exception("A batch of %d pieces failed; trying each piece alone", len(taken))
            return [call for one in taken for call in _decode(engine, queue, [one])]
        log.exception("A piece failed")
        outcomes = [error]
    for (call, piece), outcome in zip(reversed(taken), reversed(outcomes), strict=True):
        if isinstance(outcome, list):
            call.replace(piece, outcome)
            queue.add_first(call, outcome)
        elif isinstance(outcome, Exception):
            failure = as_worker_error(outcome)
            call.results[piece] = Failed(failure.code, failure.message, failure.param)
        else:
            call.results[piece] = outcome
    return list(dict.fromkeys(call for call, _ in taken))


def _joined(parts: list[Heard | Failed]) -> Heard | Failed:
    """One result for a piece, from the results of its parts."""
    from asrpro_worker.piece import Heard

    failed = next((part for part in parts if isinstance(part, Failed)), None)
    if failed is not None or len(parts) == 1:
        return failed or parts[0]
    heard = cast("list[Heard]", parts)
    return Heard(
        [segment for part in heard for segment in part.segments], heard[0].language, heard[0].language_probability
    )


def _open(name: str) -> Engine:
    """Open an engine by name. A name with a dot is a module of the tests or the bench."""
    return cast("Engine", importlib.import_module(name).create()) if "." in name else open_engine(name)


if __name__ == "__main__":
    main()
