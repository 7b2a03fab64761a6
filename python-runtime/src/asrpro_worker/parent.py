"""The tie to the gateway: its first line on stdin, and death with it by whatever end it takes."""

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
    """The first line of stdin. Raises ValueError when it is absent, malformed or of another protocol.

    Reads the descriptor itself: a thread that waits inside Python's buffered stdin aborts the interpreter at exit.
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
        what = f"the first line on stdin starts no worker; this program is started by asrpro ({error})"
        raise ValueError(what) from error
    if bootstrap.protocol != PROTOCOL:
        raise ValueError(f"protocol {bootstrap.protocol} is not {PROTOCOL}; worker and gateway are of two versions")
    return bootstrap


def die_with_parent(parent_pid: int) -> None:
    """End this process when the gateway ends.

    Two means, because each has a hole: the watcher of stdin cannot run while native code holds the interpreter lock
    (8.2 s measured), and the kernel's signal exists on Linux only. The pid is compared after arming, for a parent that
    died before; never with 1, which is a legal parent in a container.
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
