"""One replica: an actor of Ray Serve that takes batches, and a process beside it that has the model."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import psutil
import ray
from ray import serve

from asrpro_worker.cluster.engine_process import EngineProcess
from asrpro_worker.cluster.folders import cluster_data
from asrpro_worker.cluster.model_files import model_on_node
from asrpro_worker.cluster.order import BOOK, NAMESPACE, SLOT, Beat, code_digest
from asrpro_worker.errors import WorkerError, as_worker_error
from asrpro_worker.messages import Load, Model, Replicas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ray.serve import Application

    from asrpro_worker.cluster.order import Order
    from asrpro_worker.cluster.parcel import Failed, Parcel
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.piece import Heard

log = logging.getLogger(__name__)

BEAT = 2.0
# One batch is decoded and the next is there already when it is done.
_ONGOING = 2


class Replica:
    """Ray calls it in an event loop of its own, so nothing here waits for an engine without giving way."""

    async def __init__(self, order: Order) -> None:  # type: ignore[misc]  # Ray awaits it
        self._order = order
        self._book = ray.get_actor(BOOK, namespace=NAMESPACE)
        self._node = ray.get_runtime_context().get_node_id()
        self._phase = "start"
        self._facts: Facts | None = None
        self._pieces = 0
        self._process: EngineProcess | None = None
        self._changed = threading.Event()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        try:
            await asyncio.to_thread(self._load)
        except Exception as error:
            log.exception("The replica cannot load the model")
            failure = as_worker_error(error)
            code = "model_load_failed" if failure.code == "internal_error" else failure.code
            await self._book.failed.remote(order.name, code, failure.message)
            raise

    async def decode(self, parcels: Sequence[Parcel]) -> list[Heard | Failed]:
        """One answer for each piece. The end of the call by the caller takes its pieces out of the line."""
        process = self._process
        if process is None:
            raise RuntimeError("Ray sends nothing to a replica that is not ready")
        number, answers = process.decode(parcels)
        try:
            heard = await asyncio.wrap_future(answers)
        finally:
            process.drop(number)
        self._pieces += len(parcels)
        return heard

    def __del__(self) -> None:
        """Ray calls it when the replica is to end."""
        if process := getattr(self, "_process", None):
            process.end()

    def _load(self) -> None:
        order = self._order
        if order.code != code_digest():
            what = "A node of the cluster runs another version of asrpro than this one; install the same everywhere."
            raise WorkerError("model_load_failed", what)
        path = self._path()
        given = order.load
        model = Model(given.model.id, str(path), given.model.quantization, given.model.languages)
        load = Load(given.request, model, given.device, given.compute_type, given.threads, 0)
        # The process that had the model is the replica: without it there is nothing to keep.
        self._process = EngineProcess(order.engine, load, self._phased, lambda: os._exit(1))
        self._facts = self._process.facts()
        self._phased("loaded")

    def _path(self) -> Path:
        """The files themselves on the node that has them, else the node's own copy."""
        from pathlib import Path

        order = self._order
        if self._node == order.origin:
            return Path(order.load.model.path)
        sources = lambda: ray.get(self._book.sources.remote(order.name))  # noqa: E731
        return model_on_node(order.files, cluster_data(), sources, lambda done: self._note(f"copied {done}"))

    def _note(self, phase: str) -> None:
        self._phase = phase

    def _phased(self, phase: str) -> None:
        self._phase = phase
        self._changed.set()

    def _beat(self) -> None:
        while True:
            pids = (os.getpid(), *([self._process.pid] if self._process else []))
            beat = Beat(self._order.name, self._node, pids, memory_of(pids), self._pieces, self._phase, self._facts)
            self._book.beat.remote(beat)
            self._changed.wait(BEAT)
            self._changed.clear()


def memory_of(pids: Sequence[int]) -> int:
    """Bytes that these processes of this machine hold; those that have ended hold none."""
    total = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def application(order: Order, replicas: int, version: str) -> Application:
    """The Serve application of an order. `replicas` counts where the order leaves it open.

    `version` stays the same from its start to its end.
    """
    options: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": 0, "num_gpus": order.gpus, "resources": {SLOT: 1}},
        "max_ongoing_requests": _ONGOING,
        # What a model lacks it lacks the next time as well; a node that just went deserves a second try.
        "max_constructor_retry_count": 2,
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": 5,
        # A network that stutters must not cost a replica.
        "health_check_timeout_s": 60,
    }
    if isinstance(order.replicas, Replicas):
        options["autoscaling_config"] = {
            "min_replicas": order.replicas.min,
            "max_replicas": order.replicas.max,
            "target_ongoing_requests": 1,
        }
    else:
        options["num_replicas"] = replicas
    deployment = serve.deployment(name="replica", **options)(Replica)
    # Without it each change of the number counts as another program, for which Ray replaces every replica.
    deployment._version = version  # noqa: SLF001 - there is no public way, and Ray's version is locked
    return deployment.bind(order)
