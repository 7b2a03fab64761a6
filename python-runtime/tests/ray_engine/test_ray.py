"""The engine `ray` over a head and nodes on this machine, with real processes, a real model and real deaths."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from machines import Machines
from real_whisper import WHISPER, half_a_minute
from worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAKE = "ray_engine.fakes"
_ENDS = ("result", "error", "cancelled")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("homes"), 2) as made:
        yield made


@pytest.fixture(scope="module")
def two_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("audio") / "two-minutes.wav"
    speech = (half_a_minute() * 32767).astype(np.int16)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        for _ in range(4):
            out.writeframes(speech.tobytes())
    return file


@pytest.fixture(scope="module")
def local(two_minutes: Path) -> list[Any]:
    """What the engine of this machine hears in the file."""
    with WorkerProcess() as worker:
        worker.until("hello")
        worker.load(WHISPER)
        return heard(worker.transcribe(two_minutes, vad_filter=True))


@pytest.fixture(scope="module")
def worker(machines: Machines) -> Iterator[WorkerProcess]:
    """With whisper-tiny.en on every slot."""
    with WorkerProcess("ray") as process:
        assert on(process, machines)["type"] == "loaded"
        yield process


@pytest.fixture(scope="module")
def fake(machines: Machines) -> Iterator[WorkerProcess]:
    """With a fake model on one slot, or two if Ray finds that there is much to do."""
    with WorkerProcess("ray") as process:
        assert on(process, machines, FAKE, replicas={"min": 1, "max": 2})["type"] == "loaded"
        yield process


def on(worker: WorkerProcess, machines: Machines, engine: str = "faster-whisper", **more: Any) -> dict[str, Any]:
    """Load into a worker that has just started; the answer."""
    worker.until("hello")
    model = {"id": "whisper-tiny.en" if engine == "faster-whisper" else engine}
    cluster = {"address": machines.address, "replicas": None, "engine": engine, "model": model["id"], **more}
    return worker.load(WHISPER, model=model, cluster=cluster)


def heard(messages: list[dict[str, Any]]) -> list[Any]:
    assert messages[-1]["type"] == "result", messages[-1]
    return [
        (round(message["segment"]["start"], 2), message["segment"]["text"])
        for message in messages
        if message["type"] == "segment"
    ]


def until_nodes(worker: WorkerProcess, replicas: list[int]) -> None:
    """Wait until the living nodes with slots have so many replicas."""
    while True:
        message = worker.until("cluster")[-1]
        if sorted(node["replicas"] for node in message["nodes"] if node["alive"] and node["slots"]) == replicas:
            return


def test_the_text_is_that_of_the_local_engine_and_each_node_has_a_copy_of_the_model(
    machines: Machines, worker: WorkerProcess, two_minutes: Path, local: list[Any]
) -> None:
    assert len(local) > 4
    assert heard(worker.transcribe(two_minutes, vad_filter=True)) == local
    for number in range(2):
        copies = list((machines.home(number) / "cluster" / "models").glob("*/model"))
        assert [(copy / "model.bin").read_bytes() for copy in copies] == [(WHISPER / "model.bin").read_bytes()]


def test_a_cancelled_job_leaves_the_line(worker: WorkerProcess, two_minutes: Path) -> None:
    worker.ask("unwanted", two_minutes, vad_filter=True)
    worker.until("segment")
    worker.send("cancel", job="unwanted")
    assert worker.until(*_ENDS)[-1]["type"] == "cancelled"
    assert worker.transcribe(two_minutes, vad_filter=True)[-1]["type"] == "result"


def test_a_killed_replica_costs_no_text(
    machines: Machines, worker: WorkerProcess, two_minutes: Path, local: list[Any]
) -> None:
    worker.ask("job-1", two_minutes, vad_filter=True)
    before = worker.until("segment")
    replica = machines.engines()[0].parent()
    assert replica is not None
    replica.kill()
    assert heard(before + worker.until(*_ENDS)) == local


def test_a_killed_node_costs_no_text_and_a_third_that_joins_is_used(
    machines: Machines, worker: WorkerProcess, two_minutes: Path, local: list[Any]
) -> None:
    worker.ask("job-1", two_minutes, vad_filter=True)
    before = worker.until("segment")
    machines.kill(machines.nodes[0])
    assert heard(before + worker.until(*_ENDS)) == local
    machines.add()
    until_nodes(worker, [1, 1])
    assert heard(worker.transcribe(two_minutes, vad_filter=True)) == local


def test_two_gateways_share_replicas_and_the_last_one_ends_them(
    machines: Machines, worker: WorkerProcess, two_minutes: Path, local: list[Any]
) -> None:
    replicas = {process.pid for process in machines.engines()}
    with WorkerProcess("ray") as second:
        assert on(second, machines)["type"] == "loaded"
        assert {process.pid for process in machines.engines()} == replicas
        for one in (worker, second):
            one.ask("side-by-side", two_minutes, vad_filter=True)
        for one in (worker, second):
            assert heard(one.until(*_ENDS)) == local
        worker.unload()
        assert heard(second.transcribe(two_minutes, vad_filter=True)) == local
        unloaded = second.unload()
    assert machines.engines() == []
    assert unloaded["memory_after"] < unloaded["memory_before"] / 2


def test_what_kills_every_replica_fails_alone(fake: WorkerProcess, two_minutes: Path) -> None:
    end = fake.transcribe(two_minutes, language="tlh")[-1]
    assert (end["type"], end["code"]) == ("error", "worker_crashed")
    assert fake.transcribe(two_minutes, language="en")[-1]["type"] == "result"


def test_a_gateway_that_is_killed_is_forgotten(machines: Machines, fake: WorkerProcess) -> None:
    left = machines.engines()
    assert left
    fake.process.kill()
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []


def test_a_head_that_dies_ends_the_jobs_and_the_worker(machines: Machines, two_minutes: Path) -> None:
    with WorkerProcess("ray") as worker:
        assert on(worker, machines, FAKE, replicas=1)["type"] == "loaded"
        worker.ask("job-1", two_minutes, language="en")
        worker.until("started")
        machines.kill_head()
        messages = worker.until("cluster")
        while messages[-1]["reachable"]:
            messages += worker.until("cluster")
        assert messages[-1]["reason"]
        worker.process.wait(60)
    with WorkerProcess("ray") as successor:
        answer = on(successor, machines, FAKE)
        assert (answer["type"], answer["code"]) == ("error", "cluster_unreachable")
