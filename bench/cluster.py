"""Measures throughput and overhead of one, two and three replicas of an engine that takes 200 ms for a batch.

Head and nodes run on this machine. Prints one line of JSON. cluster.ts runs it in the environment `cluster`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

RUNTIME = Path(__file__).parents[1] / "python-runtime"
sys.path[:0] = [str(RUNTIME / "src"), str(RUNTIME / "tests"), str(RUNTIME / "tests" / "ray_engine")]

# Before Ray, as in a worker: it sets environment variables that Ray reads when it is imported.
from asrpro_worker.engines.ray.engine import BATCH, create  # isort: skip

from fakes import SECONDS
from in_process import job
from machines import Machines

from asrpro_worker.messages import Load, Model, OnCluster
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Piece

# A typical piece of a real file; the maximum is 30 s.
_LENGTH = 25 * RATE
_BATCHES = int(sys.argv[1])


def pieces() -> list[Piece]:
    """One batch of noise, 16 bits per sample like most audio."""
    noise = np.random.default_rng(1).integers(-3000, 3000, _LENGTH).astype(np.float32) / 32768
    return [Piece(job(), ((at * _LENGTH, (at + 1) * _LENGTH),), noise, "en") for at in range(BATCH)]


def measure(machines: Machines, model: Path, replicas: int) -> dict[str, Any]:
    """Send batches one after the other, and then as many at a time as the engine allows."""
    engine = create()
    cluster = OnCluster(machines.address, replicas, "ray_engine.fakes", f"fake-{replicas}")
    model_named = Model(cluster.model, str(model), None, None)
    facts = engine.load(Load("bench", model_named, "cpu", "auto", 1, 0, cluster), lambda _: None)
    batch = pieces()
    engine.decode(batch, lambda: None)
    alone = []
    for _ in range(_BATCHES):
        start = time.perf_counter()
        engine.decode(batch, lambda: None)
        alone.append(time.perf_counter() - start - SECONDS)
    left = threading.Semaphore(_BATCHES * replicas)

    def work() -> None:
        while left.acquire(blocking=False):
            engine.decode(batch, lambda: None)

    threads = [threading.Thread(target=work) for _ in range(facts.in_flight())]
    start, cpu = time.perf_counter(), psutil.cpu_times()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    busy = sum(psutil.cpu_times()[:3]) - sum(cpu[:3])
    node = memory(machines.nodes[0])
    engine.unload()
    of_one = _BATCHES * replicas * SECONDS / seconds
    return {"replicas": replicas, "of_one": of_one, "overhead": statistics.median(alone), "cpu": busy / seconds, **node}


def memory(node: Any) -> dict[str, int]:
    """Bytes (PSS) of a node's processes: those of Ray, and those of the replica."""
    found: dict[int, psutil.Process] = {}
    for pid in [info.process.pid for infos in node.all_processes.values() for info in infos]:
        process = psutil.Process(pid)
        found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
    sizes = {"ray": 0, "replica": 0}
    for process in found.values():
        command = " ".join(process.cmdline())
        ours = "ServeReplica" in command or "cluster.engine_main" in command
        sizes["replica" if ours else "ray"] += process.memory_full_info().pss
    return sizes


with tempfile.TemporaryDirectory() as folder, Machines(Path(folder), 3) as started:
    (Path(folder) / "model").mkdir()
    (Path(folder) / "model" / "weights").write_bytes(bytes(1000))
    print(json.dumps([measure(started, Path(folder) / "model", replicas) for replicas in (1, 2, 3)]))
