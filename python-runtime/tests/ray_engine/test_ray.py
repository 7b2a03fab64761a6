"""The engine `ray` over a head and nodes on this machine, with real processes, a real model and real deaths.

The tests build on each other, because starting a cluster and loading a model take half of the time.
"""

from __future__ import annotations

import time
import wave
from concurrent.futures import Future, ThreadPoolExecutor
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
def half_minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech(tmp_path_factory.mktemp("audio") / "half-minute.wav", 1)


@pytest.fixture(scope="module")
def twelve_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of speech and half a minute of silence, twelve times."""
    return speech(tmp_path_factory.mktemp("audio") / "twelve-minutes.wav", 12, pause=30)


@pytest.fixture(scope="module")
def local(half_minute: Path, twelve_minutes: Path) -> Iterator[dict[Path, Future[list[Any]]]]:
    """The segments of the local engine for both files. It works while the cluster starts."""

    def transcribe(file: Path) -> list[Any]:
        return segments(local_worker.transcribe(file, vad_filter=True))

    with WorkerProcess() as local_worker, ThreadPoolExecutor(1) as pool:
        local_worker.until("hello")
        local_worker.load(WHISPER)
        yield {file: pool.submit(transcribe, file) for file in (half_minute, twelve_minutes)}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, local: object) -> Iterator[Machines]:  # noqa: ARG001 - first
    with Machines(tmp_path_factory.mktemp("homes"), 1, head_slots=1) as made:
        yield made


@pytest.fixture(scope="module")
def worker(machines: Machines) -> Iterator[WorkerProcess]:
    """A gateway's worker, with whisper-tiny.en on every slot."""
    with WorkerProcess("ray") as process:
        assert on(process, machines)["type"] == "loaded"
        yield process


@pytest.fixture(scope="module")
def fake(machines: Machines) -> Iterator[WorkerProcess]:
    """A gateway's worker, with the fake engine on both slots, as a range for Ray's autoscaler."""
    with WorkerProcess("ray") as process:
        assert on(process, machines, FAKE, replicas={"min": 2, "max": 2})["type"] == "loaded"
        yield process


def speech(file: Path, halves: int, *, pause: int = 0) -> Path:
    """A WAV file of so many times half a minute of speech, with seconds of silence after each."""
    samples = np.pad((half_a_minute() * 32767).astype(np.int16), (0, pause * 16_000))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        for _ in range(halves):
            out.writeframes(samples.tobytes())
    return file


def on(worker: WorkerProcess, machines: Machines, engine: str = "faster-whisper", **more: Any) -> dict[str, Any]:
    """Load a model on the cluster with a worker that has just started; returns the answer."""
    worker.until("hello")
    model = {"id": "whisper-tiny.en" if engine == "faster-whisper" else engine}
    cluster = {"address": machines.address, "replicas": None, "engine": engine, "model": model["id"], **more}
    return worker.load(WHISPER, model=model, cluster=cluster)


def segments(messages: list[dict[str, Any]]) -> list[Any]:
    assert messages[-1]["type"] == "result", messages[-1]
    return [
        (round(message["segment"]["start"], 2), message["segment"]["text"])
        for message in messages
        if message["type"] == "segment"
    ]


def until_second(worker: WorkerProcess, second: float) -> list[dict[str, Any]]:
    """Messages up to the first segment that starts after this second of the file."""
    messages = worker.until("segment")
    while messages[-1]["segment"]["start"] < second:
        messages += worker.until("segment")
    return messages


def copied_weights(home: Path) -> bytes:
    """The weights of the only model that was copied to a node."""
    (copy,) = (home / "cluster" / "models").glob("*/model")
    return (copy / "model.bin").read_bytes()


def until_replicas(worker: WorkerProcess, replicas: list[int]) -> None:
    """Wait until the living nodes with slots have these numbers of replicas."""
    while True:
        message = worker.until("cluster")[-1]
        if sorted(node["replicas"] for node in message["nodes"] if node["alive"] and node["slots"]) == replicas:
            return


def test_a_replica_and_a_node_die_and_the_text_is_that_of_the_local_engine(
    machines: Machines, worker: WorkerProcess, twelve_minutes: Path, local: dict[Path, Future[list[Any]]]
) -> None:
    assert copied_weights(machines.home(0)) == (WHISPER / "model.bin").read_bytes()
    expected = local[twelve_minutes].result()
    worker.ask("job-1", twelve_minutes, vad_filter=True)
    messages = worker.until("segment")
    (engine,) = machines.engines(machines.head_home)
    replica = engine.parent()
    assert replica is not None
    replica.kill()
    # Until the head has another replica, the node works alone.
    messages += until_second(worker, 60)
    machines.kill(machines.nodes[0])
    messages += worker.until(*_ENDS)
    assert len(expected) > 12
    assert segments(messages) == expected


def test_a_node_that_joins_gets_the_model_and_a_replica_without_a_restart(
    machines: Machines, worker: WorkerProcess, half_minute: Path, local: dict[Path, Future[list[Any]]]
) -> None:
    machines.add()
    until_replicas(worker, [1, 1])
    assert copied_weights(machines.home(1)) == (WHISPER / "model.bin").read_bytes()
    assert segments(worker.transcribe(half_minute, vad_filter=True)) == local[half_minute].result()


def test_a_cancelled_job_leaves_the_queue(
    worker: WorkerProcess, half_minute: Path, twelve_minutes: Path, local: dict[Path, Future[list[Any]]]
) -> None:
    worker.ask("unwanted", twelve_minutes, vad_filter=True)
    worker.until("segment")
    worker.send("cancel", job="unwanted")
    assert worker.until(*_ENDS)[-1]["type"] == "cancelled"
    assert segments(worker.transcribe(half_minute, vad_filter=True)) == local[half_minute].result()


def test_gateways_share_replicas_until_the_last_unloads_and_a_killed_one_does_not_count(
    machines: Machines, worker: WorkerProcess, half_minute: Path, local: dict[Path, Future[list[Any]]]
) -> None:
    expected = local[half_minute].result()
    engines = machines.engines()
    with WorkerProcess("ray") as second:
        assert on(second, machines)["type"] == "loaded"
        assert machines.engines() == engines
        for one in (worker, second):
            one.ask("side-by-side", half_minute, vad_filter=True)
        for one in (worker, second):
            assert segments(one.until(*_ENDS)) == expected
        worker.process.kill()
        assert segments(second.transcribe(half_minute, vad_filter=True)) == expected
        unloaded = second.unload()
        # Two replicas: weights and Python.
        assert unloaded["memory_before"] - unloaded["memory_after"] > 300e6
    _, alive = psutil.wait_procs(engines, timeout=60)
    assert alive == []
    assert machines.engines() == []


def test_a_replica_that_cannot_load_its_engine_is_reported(machines: Machines) -> None:
    with WorkerProcess("ray") as process:
        answer = on(process, machines, "ray_engine.missing", replicas=1)
        assert (answer["type"], answer["code"]) == ("error", "model_load_failed")


def test_a_batch_that_kills_every_replica_fails_alone(fake: WorkerProcess, half_minute: Path) -> None:
    end = fake.transcribe(half_minute, language="tlh")[-1]
    assert (end["type"], end["code"]) == ("error", "worker_crashed")
    assert fake.transcribe(half_minute, language="en")[-1]["type"] == "result"


def test_a_dead_head_is_reported_within_five_seconds_and_ends_the_job_and_the_worker(
    machines: Machines, fake: WorkerProcess, twelve_minutes: Path
) -> None:
    fake.ask("job-1", twelve_minutes, language="la")
    fake.until("segment")
    killed = time.monotonic()
    machines.kill_head()
    messages = fake.until("cluster")
    while messages[-1]["reachable"]:
        messages += fake.until("cluster")
    assert time.monotonic() - killed < 5
    assert messages[-1]["reason"]
    failures = [message for message in messages if message["type"] == "error"] or fake.until("error")[-1:]
    assert failures[0]["code"] == "cluster_unreachable"
    fake.process.wait(60)


def test_without_a_head_a_load_fails_and_a_damaged_model_is_reported_as_such(
    machines: Machines, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"garbage " * 1000)
    cluster = {"address": machines.address, "replicas": None, "engine": "faster-whisper", "model": "damaged"}
    with WorkerProcess("ray") as process:
        answer = on(process, machines, FAKE)
        assert (answer["type"], answer["code"]) == ("error", "cluster_unreachable")
        answer = process.load(tmp_path, cluster=cluster)
        assert (answer["type"], answer["code"]) == ("error", "model_broken")
        assert "model.bin" in answer["message"]
