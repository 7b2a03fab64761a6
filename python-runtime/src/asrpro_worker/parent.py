"""The link to the gateway: the bootstrap line on stdin, and the exit of this process when the gateway ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

import msgspec

from asrpro_worker.messages import PROTOCOL, Bootstrap

_STDIN = 0
_MAX_LINE = 64 * 1024
_PR_SET_PDEATHSIG = 1


def read_bootstrap() -> Bootstrap:
    """Read the first line of stdin. Raises ValueError if it is missing, malformed or of another protocol version.

    Reads the file descriptor: a thread that is blocked in Python's buffered stdin aborts the interpreter at exit.
    """
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAX_LINE:
        byte = os.read(_STDIN, 1)
        if not byte:
            break
        line += byte
    try:
        bootstrap = msgspec.json.decode(line, type=Bootstrap)
    except ValueError as error:
        message = f"the first line on stdin is no bootstrap line; only asrpro can start this program ({error})"
        raise ValueError(message) from error
    if bootstrap.protocol != PROTOCOL:
        raise ValueError(f"the gateway speaks protocol {bootstrap.protocol}, this worker {PROTOCOL}; versions differ")
    return bootstrap


def die_with_parent(parent_pid: int) -> None:
    """Exit when the gateway ends.

    Two mechanisms, because neither suffices: the thread that watches stdin cannot run while native code holds the
    interpreter lock (8.2 s measured), and the kernel's signal exists on Linux only. The parent's pid is compared after
    arming the signal, in case the parent died before. It is not compared with 1, a valid parent pid in a container.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform != "win32" and os.getppid() != parent_pid:
        os._exit(0)
    threading.Thread(target=_watch_stdin, name="parent", daemon=True).start()


def _watch_stdin() -> None:
    while True:
        try:
            if not os.read(_STDIN, 4096):
                break
        except OSError:
            break
    os._exit(0)
