"""The replica's side of the process that holds the model."""

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

    from asrpro_worker.cluster.payload import Failed, Payload
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.messages import Load
    from asrpro_worker.piece import Heard

# The settings of a local worker; src/worker/python.ts has the reasons.
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "2000000",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_TOP_PAD_": "4194304",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "GOMP_SPINCOUNT": "1000",
}
# Seconds to wait for the process after SIGKILL.
_KILL_TIMEOUT = 5.0


class EngineProcess:
    """Starts the process; `facts` waits for the model. `on_exit` is called when a loaded process ends by itself."""

    def __init__(self, engine: str, load: Load, on_phase: Callable[[str], None], on_exit: Callable[[], None]) -> None:
        self._load = load
        self._on_phase = on_phase
        self._on_exit = on_exit
        self._loaded: Future[Facts] = Future()
        self._calls: dict[int, Future[list[Heard | Failed]]] = {}
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._connection, other = Pipe()
        self._ended = False
        self._started: Future[subprocess.Popen[bytes]] = Future()
        # PR_SET_PDEATHSIG acts when the *thread* that started the process ends, so this thread lives as long as it.
        threading.Thread(target=self._run, args=(engine, other), name="engine", daemon=True).start()
        self.pid = self._started.result().pid

    def facts(self) -> Facts:
        """Wait for the model. Raises WorkerError."""
        return self._loaded.result()

    def decode(self, payloads: Sequence[Payload]) -> tuple[int, Future[list[Heard | Failed]]]:
        """The number of the call, for `drop`, and a future with one result for each piece."""
        number = next(self._numbers)
        answers: Future[list[Heard | Failed]] = Future()
        # A running future cannot be cancelled. One that could raised in `_receive` when its result arrived after all,
        # which ended the thread and with it the engine's process.
        answers.set_running_or_notify_cancel()
        self._calls[number] = answers
        with self._sending:
            send_batch(self._connection, number, payloads, self.pid)
        return number, answers

    def drop(self, number: int) -> None:
        """Tell the process that the results of the call are not needed. Does nothing for a call that is answered."""
        if self._calls.pop(number, None) is not None:
            with self._sending:
                self._connection.send(("drop", number))

    def end(self) -> None:
        """Kill the process and wait for it. It has no state to save, and destructors of native libraries may hang."""
        self._ended = True
        process = self._started.result()
        process.kill()
        process.wait(_KILL_TIMEOUT)
        if process.stdin:
            process.stdin.close()

    def _run(self, engine: str, other: Connection) -> None:
        try:
            command = [python_of(engine), "-s", "-m", "asrpro_worker.cluster.engine_main"]
            process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(other.fileno()), str(os.getpid()), engine],
                stdin=subprocess.PIPE,
                pass_fds=[other.fileno()],
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": _python_path(engine)},
            )
        except BaseException as error:  # noqa: BLE001 - raised by `self._started.result()`
            self._started.set_exception(error)
            return
        self._started.set_result(process)
        other.close()
        try:
            self._connection.send(self._load)
            while True:
                self._receive(*self._connection.recv())
        except (EOFError, OSError):
            pass
        exited = WorkerError("model_load_failed", "The engine's process ended while it loaded the model.")
        if not self._loaded.done():
            self._loaded.set_exception(exited)
        elif not self._ended and self._loaded.exception() is None:
            # Not after a failed load: the replica still has to report the reason, and `on_exit` ends the replica.
            self._on_exit()

    def _receive(self, kind: str, *rest: Any) -> None:
        if kind == "done":
            number, answers = rest
            if call := self._calls.pop(number, None):
                call.set_result(answers)
        elif kind == "phase":
            self._on_phase(rest[0])
        elif kind == "loaded":
            self._loaded.set_result(rest[0])
        else:
            self._loaded.set_exception(rest[0].error())


def python_of(engine: str) -> str:
    """The Python for an engine. NeMo has an environment of its own, which must be installed on each node."""
    if engine != "nemo":
        return sys.executable
    found = (node_data() / "engines").glob("nemo-*/bin/python")
    newest = max(found, key=lambda python: python.parent.stat().st_mtime, default=None)
    if newest is None:
        what = "A node of the cluster lacks the engine environment 'nemo'; run `asrpro setup nemo` on every node."
        raise WorkerError("engine_not_installed", what)
    return str(newest)


def _python_path(engine: str) -> str:
    """The worker's sources. An engine name with a dot is a module of a test, so this process's path is added."""
    own = str(Path(__file__).parents[2])
    return os.pathsep.join([own, *(entry for entry in sys.path if entry)]) if "." in engine else own
