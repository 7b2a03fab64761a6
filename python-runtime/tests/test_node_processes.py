"""`cluster stop` ends every process of the node, also those that hide their environment or start others."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest

from asrpro_worker.cluster import node_processes as module
from asrpro_worker.cluster.node_processes import (
    end_node_processes,
    is_node_running,
    marked_environment,
    node_processes,
)
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clusters run on Linux only")

# What a process title does to the environment: it overwrites the variables up to the first that the program changed.
OVERWRITE = """
import ctypes, pathlib
fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
shown = ctypes.string_at(start, end - start)
ctypes.memset(start, 0, {length})
"""
HOLD = "import sys, time\nprint('ready', flush=True)\ntime.sleep(600)\n"
IGNORE_SIGTERM = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
# On SIGTERM, another process takes over.
SUCCESSOR = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: os.fork() and os._exit(0))\n"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], psutil.Process]]:
    """Starts a marked process that runs this code, and waits until it has."""
    monkeypatch.setenv("ASRPRO_HOME", str(tmp_path))
    started: list[subprocess.Popen[bytes]] = []

    def start_one(code: str) -> psutil.Process:
        environment = {"FIRST": "1", **os.environ, **marked_environment()}
        process = subprocess.Popen([sys.executable, "-c", code + HOLD], env=environment, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return psutil.Process(process.pid)

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_process_whose_title_overwrote_the_variables_before_the_mark_is_ended(
    start: Callable[[str], psutil.Process],
) -> None:
    hidden = start(OVERWRITE.format(length="shown.index(b'ASRPRO_CLUSTER_NODE')"))
    assert node_processes() == {hidden}
    assert end_node_processes() == 1
    assert hidden.status() == psutil.STATUS_ZOMBIE


def test_a_descendant_without_any_environment_is_ended(start: Callable[[str], psutil.Process]) -> None:
    parent = start("import subprocess, sys\nchild = subprocess.Popen(['sleep', '600'], env={})\n")
    (child,) = parent.children()
    assert end_node_processes() == 2
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("code", [IGNORE_SIGTERM, SUCCESSOR])
def test_a_process_that_survives_sigterm_is_killed(
    code: str, start: Callable[[str], psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asrpro_worker.cluster.node_processes._TERMINATE_SECONDS", 1.0)
    start(code)
    assert end_node_processes() > 0
    assert node_processes() == set()


def test_a_process_that_survives_sigkill_is_reported(
    start: Callable[[str], psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = start("")
    # In reality it waits in the kernel, for a disk for example. No test can make such a process.
    for method in ("terminate", "kill"):
        monkeypatch.setattr(psutil.Process, method, lambda _: None)
    for limit in ("_TERMINATE_SECONDS", "_KILL_SECONDS"):
        monkeypatch.setattr(module, limit, 0.2)
    with pytest.raises(WorkerError, match=rf"have not ended: {stuck.pid} python\S* \(\S+\)\.$") as raised:
        end_node_processes()
    assert raised.value.code == "worker_stuck"
    assert stuck.is_running()


def test_the_last_process_may_end_at_the_very_deadline(
    start: Callable[[str], psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("")
    now = 0.0

    def sleep(_: float) -> None:
        """The process ends, and the time is up."""
        nonlocal now
        process.wait(60)
        now += 100

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    assert end_node_processes() == 1


def test_processes_that_outlive_the_raylet_are_no_node(start: Callable[[str], psutil.Process]) -> None:
    start("")
    assert not is_node_running()
    start("import subprocess\nsubprocess.Popen(['raylet', '600'], executable='/bin/sleep')\n")
    assert is_node_running()
    assert end_node_processes() == 3
    assert not is_node_running()
    assert end_node_processes() == 0
