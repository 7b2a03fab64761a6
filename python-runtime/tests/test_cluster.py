"""The parts of the cluster's code that need no Ray: starting a node, watching the head, and the list of nodes."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import job
from worker_process import start_python

from asrpro_worker.cluster import node
from asrpro_worker.cluster.engine_process import EngineProcess
from asrpro_worker.cluster.exits import Exits
from asrpro_worker.cluster.head import wait_until_unreachable, why_unreachable
from asrpro_worker.cluster.nodes import NodeList
from asrpro_worker.cluster.payload import pack, unpack
from asrpro_worker.cluster.spec import Heartbeat
from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import Load, Model
from asrpro_worker.piece import Piece

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = node.Settings(head=None, slots=1, ip=None, port=6379, worker_ports=(10002, 10999))

TRACEBACK = """Traceback (most recent call last):
  File "scripts.py", line 2700, in main
    return cli()
ConnectionError: Ray is trying to start at 10.0.0.1:6379, but is already running at 10.0.0.1:6379.
"""
MISMATCH = """Traceback (most recent call last):
RuntimeError: Version mismatch: The cluster was started with:
    Ray: 2.60.0
This process was started with:
    Ray: 2.50.0
[2026-11-27 15:00:00,000 E 1 1] gcs_client.cc:1: a line of the log
"""
RECORD = "2026-11-27 15:00:00,000\tPANIC scripts.py:1 -- The value of --resources is not JSON.\nError: it failed\n"


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        ("Local node IP: 10.0.0.1\n", TRACEBACK, "Ray is trying to start at 10.0.0.1:6379, but is already running"),
        ("", MISMATCH, "Ray: 2.60.0 This process was started with: Ray: 2.50.0"),
        ("To stop, run\n  ray stop\n", RECORD, "it failed"),
        ("only this\n", "", "only this"),
        ("", "", "it printed no error"),
    ],
)
def test_the_reason_why_ray_did_not_start_is_its_error_and_not_its_last_line(
    stdout: str, stderr: str, reason: str
) -> None:
    found = node.failure_reason(stdout, stderr)
    assert reason in found
    assert "line of the log" not in found


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.0.0.2", "::1", "1.2.3"])
def test_an_address_that_ray_would_replace_is_refused(ip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASRPRO_HOME", str(tmp_path))
    with pytest.raises(WorkerError, match=ip) as refused:
        node.start(node.Settings(**{**vars(SETTINGS), "ip": ip}))
    assert refused.value.code == "invalid_request"


def test_the_configured_token_wins_over_an_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASRPRO_HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "new")
    (tmp_path / "cluster").mkdir()
    file = tmp_path / "cluster" / "token"
    file.write_text("old")
    assert node.token_file(may_create=False) == file
    assert file.read_text() == "new"


def test_a_head_that_ends_is_noticed_before_ray_reports_it() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    noticed: list[str | None] = []
    watching = threading.Thread(target=lambda: noticed.append(wait_until_unreachable(address, threading.Event())))
    watching.start()
    first, _ = listener.accept()
    first.close()
    # A closed connection is opened again: Ray closes one without a request after two minutes.
    second, _ = listener.accept()
    assert noticed == []
    listener.close()
    second.close()
    # It takes a second. Ray takes up to a minute.
    watching.join(10)
    assert not watching.is_alive()
    assert noticed[0] is not None
    assert address in noticed[0]


def test_a_watch_of_the_head_that_is_stopped_has_no_reason() -> None:
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reasons: list[str | None] = []
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert why_unreachable(address) is None
        watching = threading.Thread(target=lambda: reasons.append(wait_until_unreachable(address, stopped)))
        watching.start()
        accepted = [listener.accept()[0] for _ in range(2)]
        stopped.set()
        watching.join(10)
    for connection in accepted:
        connection.close()
    assert reasons == [None]


LISTEN = """
import socket, time
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.send(b"hello")
    time.sleep(600)
"""


def test_the_end_of_a_process_is_noticed_from_another_machine() -> None:
    process = start_python("-c", LISTEN)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    beat = Heartbeat("model", "node", ("127.0.0.1", port), (process.pid,), 1000, 0, "loaded", None)
    try:
        with Exits([beat]) as exits:
            assert exits.wait(0.1) == 1000
            process.kill()
            assert exits.wait(30) == 0
        with Exits([beat]) as exits:
            assert exits.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def row(name: str, *, alive: bool = True, slots: int = 1, reason: int = 0) -> dict[str, Any]:
    """A node as `ray.nodes()` has it: a dead one has no resources."""
    return {
        "NodeID": name,
        "NodeManagerHostname": name,
        "NodeManagerAddress": name[0],
        "Alive": alive,
        "DeathReason": reason,
        "Resources": {"CPU": 2.0, "asrpro_slot": float(slots)} if alive else {},
    }


def test_a_lost_machine_is_listed_for_ten_minutes_and_others_that_ended_are_not() -> None:
    nodes = NodeList()
    nodes.update([row("lost"), row("stopped"), row("gateway", slots=0), row("head", slots=0)], 0.0)
    dead = [row("lost", alive=False, reason=2), row("stopped", alive=False, reason=1), row("gateway", alive=False)]
    listed = nodes.update([*dead, row("head", slots=0)], 1.0)
    assert [(one.name, one.alive, one.slots) for one in listed] == [("head", True, 0), ("lost", False, 1)]
    assert len(nodes.update([*dead, row("head", slots=0)], 500.0)) == 2
    assert [one.name for one in nodes.update([*dead, row("head", slots=0)], 602.0)] == ["head"]


def test_a_machine_that_is_back_is_not_lost() -> None:
    nodes = NodeList()
    nodes.update([row("a1")], 0.0)
    assert [one.alive for one in nodes.update([row("a1", alive=False, reason=2)], 1.0)] == [False]
    back = nodes.update([row("a1", alive=False, reason=2), row("a2")], 2.0)
    assert [(one.id, one.alive) for one in back] == [("a2", True)]


@pytest.mark.parametrize(("scale", "kind"), [(1 / 32768, np.int16), (1 / 40000, np.float32)])
def test_samples_arrive_as_they_were_and_those_of_16_bits_as_such(scale: float, kind: type) -> None:
    whole = np.random.default_rng(1).integers(-32768, 32767, 50_000)
    samples = (whole * scale).astype(np.float32)
    payload = pack(Piece(job(), ((0, len(samples)),), samples, "en"))
    assert payload.samples.dtype == kind
    arrived = unpack(payload, job())
    assert arrived.samples.dtype == np.float32
    assert np.array_equal(arrived.samples, samples)


def test_a_cancelled_call_whose_result_arrives_all_the_same_does_not_end_the_engine() -> None:
    model = Model("fake", "/nowhere", None, None)
    load = Load("load-1", model, "cpu", "auto", 1, 0)
    process = EngineProcess("ray_engine.fakes", load, lambda _: None, lambda: None)
    try:
        process.facts()
        payload = pack(Piece(job(), ((0, 16_000),), np.zeros(16_000, np.float32), "en"))
        _, cancelled = process.decode([payload])
        cancelled.cancel()
        _, answers = process.decode([payload])
        assert len(answers.result(30)) == 1
    finally:
        process.end()
