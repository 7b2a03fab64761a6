"""Finds and ends the processes of this machine's node."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil

from asrpro_worker.cluster.folders import cluster_data
from asrpro_worker.errors import WorkerError

# All processes of the node inherit this variable.
_MARK = "ASRPRO_CLUSTER_NODE"
# Time for the processes to end after SIGTERM, and after SIGKILL. A raylet without a head, and a head with nodes, do not
# end on SIGTERM; all others do within a second.
_TERMINATE_SECONDS = 5.0
_KILL_SECONDS = 10.0
_SCAN_SECONDS = 0.1
# In a row, until the node counts as ended: while a process executes another program, the kernel shows no environment.
_EMPTY_SCANS = 2


def marked_environment() -> dict[str, str]:
    """Environment variables by which `node_processes` recognizes the node's processes.

    With SPT_NOENV, a process of Ray that sets its title keeps the environment that the kernel shows. Ray sets SPT_NOENV
    for its workers only; its agents overwrote the start of their environment, and `cluster stop` did not find them.
    """
    return {_MARK: str(cluster_data()), "SPT_NOENV": "1"}


def node_processes() -> set[psutil.Process]:
    """All processes with the mark, and their descendants, which may have overwritten their environment."""
    marked: list[psutil.Process] = []
    children: dict[int, list[psutil.Process]] = {}
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                children.setdefault(process.ppid(), []).append(process)
                if _has_mark(pid):
                    marked.append(process)
    found: set[psutil.Process] = set()
    while marked:
        process = marked.pop()
        if process not in found:
            found.add(process)
            marked += children.get(process.pid, [])
    return found


def is_node_running() -> bool:
    """Each node has one raylet. Other processes may outlive it for a while, when it or the head was killed."""
    return any(_program(process) == "raylet" for process in node_processes())


def end_node_processes() -> int:
    """End all processes of the node and return their number. Raises WorkerError if some do not end."""
    seen: set[psutil.Process] = set()
    found: set[psutil.Process] = set()
    # The head's GCS gets its SIGTERM last, because a raylet does not end without it.
    terminate = (psutil.Process.terminate, _TERMINATE_SECONDS, "gcs_server")
    kill = (psutil.Process.kill, _KILL_SECONDS, None)
    for send_signal, seconds, last in (terminate, kill):
        deadline = time.monotonic() + seconds
        signalled: set[psutil.Process] = set()
        empty_scans = 0
        while True:
            found = node_processes()
            empty_scans = 0 if found else empty_scans + 1
            if empty_scans == _EMPTY_SCANS:
                return len(seen)
            targets = {process for process in found if _program(process) != last} or found
            for process in targets - signalled:
                with contextlib.suppress(psutil.Error):
                    send_signal(process)
            signalled |= targets
            seen |= found
            # Only a scan that found processes ends the wait: the last one may end at the very deadline.
            if found and time.monotonic() >= deadline:
                break
            time.sleep(_SCAN_SECONDS)
    names = ", ".join(sorted(_describe(process) for process in found))
    raise WorkerError("worker_stuck", f"These processes of the node were killed but have not ended: {names}.")


def _has_mark(pid: int) -> bool:
    """Not psutil's `environ`, which ends at the first empty entry: a title may have left zeros before the mark."""
    return f"{_MARK}={cluster_data()}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def _program(process: psutil.Process) -> str:
    try:
        return Path(*process.cmdline()[:1]).name
    except psutil.Error:
        return ""


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.name()} ({process.status()})"
    except psutil.Error:
        return str(process.pid)
