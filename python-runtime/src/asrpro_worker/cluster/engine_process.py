"""A replica's side of the process that has the model."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrpro_worker.cluster.folders import node_data
from asrpro_worker.cluster.shared_memory import send_batch
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asrpro_worker.cluster.parcel import Failed, Parcel
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.messages import Load
    from asrpro_worker.piece import Heard

# Longer than any engine takes to end; it has no state to save.
_END = 5.0


class EngineProcess:
    """Started with the object; `facts` waits for the model. When the process ends by itself, `died` is called."""

    def __init__(self, engine: str, load: Load, phase: Callable[[str], None], died: Callable[[], None]) -> None:
        self._load = load
        self._phase = phase
        self._died = died
        self._loaded: Future[Facts] = Future()
        self._calls: dict[int, Future[list[Heard | Failed]]] = {}
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._connection, other = Pipe()
        self._ended = False
        self._started: Future[subprocess.Popen[bytes]] = Future()
        # The kernel ends the process when the *thread* ends that started it.
        threading.Thread(target=self._run, args=(engine, other), name="engine", daemon=True).start()
        self.pid = self._started.result().pid

    def facts(self) -> Facts:
        """Wait for the model. Raises WorkerError."""
        return self._loaded.result()

    def decode(self, parcels: Sequence[Parcel]) -> tuple[int, Future[list[Heard | Failed]]]:
        """The number of the call, to drop it, and its answers: one for each piece."""
        number = next(self._numbers)
        answers = self._calls[number] = Future()
        with self._sending:
            send_batch(self._connection, number, parcels, self.pid)
        return number, answers

    def drop(self, number: int) -> None:
        """Nobody wants the answers any more."""
        if self._calls.pop(number, None) is not None:
            with self._sending:
                self._connection.send(("drop", number))

    def end(self) -> None:
        """Kill it and wait for it: a model has nothing to save, and destructors of native libraries may hang."""
        self._ended = True
        process = self._started.result()
        process.kill()
        process.wait(_END)

    def _run(self, engine: str, other: Connection) -> None:
        try:
            command = [python_of(engine), "-s", "-m", "asrpro_worker.cluster.inner"]
            process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(other.fileno()), str(os.getpid()), engine],
                stdin=subprocess.PIPE,
                pass_fds=[other.fileno()],
                env={**os.environ, "PYTHONPATH": _python_path(engine)},
            )
        except BaseException as error:  # noqa: BLE001 - told to who waits
            self._started.set_exception(error)
            return
        self._started.set_result(process)
        other.close()
        try:
            self._connection.send(self._load)
            while True:
                self._hear(*self._connection.recv())
        except (EOFError, OSError):
            pass
        lost = WorkerError("model_load_failed", "The engine's process ended while it loaded the model.")
        if not self._loaded.done():
            self._loaded.set_exception(lost)
        elif not self._ended and self._loaded.exception() is None:
            # Where the load failed, the replica has yet to say why: it used to die before, and nobody heard the reason.
            self._died()

    def _hear(self, kind: str, *rest: Any) -> None:
        if kind == "done":
            number, answers = rest
            if call := self._calls.pop(number, None):
                call.set_result(answers)
        elif kind == "phase":
            self._phase(rest[0])
        elif kind == "loaded":
            self._loaded.set_result(rest[0])
        else:
            self._loaded.set_exception(rest[0].error())


def python_of(engine: str) -> str:
    """The interpreter of an engine's environment: NeMo has one of its own, which each node installs for itself."""
    if engine != "nemo":
        return sys.executable
    found = (node_data() / "engines").glob("nemo-*/bin/python")
    newest = max(found, key=lambda python: python.parent.stat().st_mtime, default=None)
    if newest is None:
        what = "A node of the cluster lacks the engine environment 'nemo'; run `asrpro setup nemo` on every node."
        raise WorkerError("engine_not_installed", what)
    return str(newest)


def _python_path(engine: str) -> str:
    """The worker's own sources; for a module of a test also where that is."""
    own = str(Path(__file__).parents[2])
    return os.pathsep.join([own, *(entry for entry in sys.path if entry)]) if "." in engine else own
