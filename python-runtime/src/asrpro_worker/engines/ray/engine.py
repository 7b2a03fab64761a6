"""The engine `ray`: batches of pieces go to the replicas of an application of Ray Serve."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# First: it sets what Ray reads when it is imported.
from asrpro_worker.cluster.connect import Connection  # isort: skip

import ray
from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, RayError
from ray.exceptions import WorkerCrashedError as RayWorkerCrashedError
from ray.serve.exceptions import RayServeException
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from asrpro_worker.cluster.book import nodes_of_cluster, open_book
from asrpro_worker.cluster.model_files import Source, describe
from asrpro_worker.cluster.order import Order, code_digest
from asrpro_worker.cluster.parcel import Failed, pack
from asrpro_worker.cluster.replica import memory_of
from asrpro_worker.engines.ray.watch import Watch
from asrpro_worker.errors import ClusterError, WorkerError
from asrpro_worker.messages import Cluster, Load, OnCluster, ProbedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asrpro_worker.cluster.order import Beat, State
    from asrpro_worker.cluster.parcel import Parcel
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.piece import Heard, Outcome, Piece

log = logging.getLogger(__name__)

# Pieces of one call, and calls beside one for each replica: what a replica decodes next is there before it is wanted.
BATCH = 8
SPARE_CALLS = 2
# A batch that is lost so often is perhaps what kills the replicas.
_TRIES = 3
# Without a replica that has a slot, and, once one has, without any that gets ahead; copying a model gets ahead.
_NO_SLOT = 20.0
_SLOW_START = 120.0
_STANDSTILL = 300.0
# When some replicas have the model and no other gets ahead, those are all that there will be.
_ENOUGH = 10.0
# A call waits so long for a replica, when there is none.
_NO_REPLICA = 60.0
# Between two signs of life.
_LISTEN = 0.25
_GONE = 15.0

# What is raised for a replica or a machine that died, or that the network lost.
_LOST = (RayActorError, RayWorkerCrashedError, NodeDiedError, ObjectLostError)


class RayEngine:
    """A driver of the cluster, with one application that it shares with other gateways."""

    def __init__(self) -> None:
        self._send: Callable[[WorkerMessage], None] = lambda _: None
        self._connection: Connection | None = None
        self._book: Any = None
        self._order: Order | None = None
        self._source: Any = None
        self._handle: Any = None
        self._watch: Watch | None = None

    def report_to(self, send: Callable[[WorkerMessage], None]) -> None:
        """See Remote.report_to."""
        self._send = send

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. As many replicas have the model as the cluster has slots for."""
        cluster = request.cluster
        if cluster is None:
            raise WorkerError("model_load_failed", "The engine 'ray' needs the address of a cluster.")
        try:
            self._connection = Connection(cluster.address)
        except ClusterError as error:
            self._send(Cluster(reachable=False, reason=error.message, nodes=[]))
            raise
        try:
            facts = self._join(request, cluster, phase)
        except BaseException as error:
            self.unload()
            if isinstance(error, RayError):
                log.exception("The cluster failed while the model was loaded")
                what = f"The cluster failed while the model was loaded ({type(error).__name__})."
                raise ClusterError("cluster_unreachable", what) from error
            raise
        return replace(facts, batch=BATCH, in_flight=self._in_flight)

    def _join(self, request: Load, cluster: OnCluster, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        here = ray.get_runtime_context().get_node_id()
        files = describe(Path(request.model.path))
        gpus = _gpus(request.device)
        order = Order(cluster.engine, request, files, cluster.replicas, gpus, origin=here, code=code_digest())
        self._order = order
        on_this_node = NodeAffinitySchedulingStrategy(here, soft=False)
        source = ray.remote(Source).options(num_cpus=0, scheduling_strategy=on_this_node)
        self._source = source.remote(request.model.path, files)
        self._book = open_book()
        self._watch = Watch(self._book, order.name, cluster.address, self._send)
        ray.get(self._book.join.remote(order, _user(), self._source))
        facts = self._wait(order, self._watch, phase)
        self._handle = serve.get_app_handle(order.name)
        return facts

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> Sequence[Outcome | Exception]:
        """See Engine.decode. What a replica tries again it tries again itself; a lost batch is sent again."""
        watch = self._watch
        if watch is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        parcels = [pack(piece) for piece in pieces]
        for _ in range(_TRIES):
            alive()
            try:
                heard = self._ask(watch, parcels, alive)
            except _LOST as error:
                log.warning("A batch of %d pieces was lost with its replica (%s)", len(parcels), type(error).__name__)
                continue
            return [one.error() if isinstance(one, Failed) else one for one in heard]
        what = f"The machines that worked on this file died {_TRIES} times, one after the other."
        raise ClusterError("worker_crashed", what)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe. What the nodes have is theirs to say."""
        return ProbedDevice(
            device, usable=False, compute_types=[], reason="The engine 'ray' uses the devices of others."
        )

    def unload(self) -> tuple[int, int]:
        """See Remote.unload. The last gateway that leaves ends the application; its processes are waited for."""
        before = after = 0
        if self._watch is not None and self._order is not None:
            self._watch.stop()
            replicas = self._watch.state.replicas if self._watch.state else []
            before = after = sum(beat.memory_bytes for beat in replicas)
            try:
                if ray.get(self._book.leave.remote(self._order.name, _user()), timeout=60):
                    after = _left(replicas)
            except Exception:
                log.exception("The cluster did not say that the model was unloaded")
        if self._connection is not None:
            self._connection.close()
        return before, after

    def _in_flight(self) -> int:
        return (len(self._watch.ready) if self._watch else 0) + SPARE_CALLS

    def _wait(self, order: Order, watch: Watch, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        began = moved = time.monotonic()
        seen: object = None
        while True:
            state = watch.look()
            now = time.monotonic()
            progress = sorted((beat.pids, beat.phase) for beat in state.replicas)
            if progress != seen:
                seen, moved = progress, now
                phase("warm-up" if any(beat.phase == "warm-up" for beat in state.replicas) else "weights")
            ready = watch.ready
            if ready and (len(ready) >= state.wanted.get(order.name, 1) or now - moved > _ENOUGH):
                return next(beat.facts for beat in ready if beat.facts)
            if order.name in state.failures and not ready:
                raise WorkerError(*state.failures[order.name])
            if not state.replicas and now - began > _patience(order, state):
                raise ClusterError("cluster_full", _why_full(order, state))
            if now - moved > _STANDSTILL:
                raise WorkerError("model_load_failed", "No replica of the model got ahead for five minutes.")
            time.sleep(_LISTEN)

    def _ask(self, watch: Watch, parcels: list[Parcel], alive: Callable[[], None]) -> list[Heard | Failed]:
        response = self._handle.decode.remote(parcels)
        try:
            while True:
                try:
                    heard: list[Heard | Failed] = response.result(timeout_s=_LISTEN)
                except TimeoutError:
                    alive()
                    watch.check(_NO_REPLICA)
                else:
                    return heard
        except _LOST:
            raise
        except RayServeException as error:
            watch.check(0)
            raise ClusterError(
                "cluster_unreachable", "The application of the model is gone from the cluster."
            ) from error
        finally:
            response.cancel()


def create() -> RayEngine:
    """The engine, not yet connected."""
    return RayEngine()


def _user() -> str:
    return str(ray.get_runtime_context().get_job_id())


def _gpus(device: str) -> int:
    """Of a replica. `auto` is a GPU where any node with slots has one."""
    if device == "auto":
        return int(any(node.alive and node.slots and node.gpus for node in nodes_of_cluster()))
    return int(device.startswith("cuda"))


def _slots(order: Order, state: State) -> int:
    return sum(node.slots for node in state.nodes if node.alive and node.gpus >= order.gpus)


def _patience(order: Order, state: State) -> float:
    """Seconds without a replica after which there will be none. One that has a slot may take long to start."""
    slots = _slots(order, state)
    taken = sum(wanted for name, wanted in state.wanted.items() if name != order.name)
    return 0.0 if not slots else _NO_SLOT if taken >= slots else _SLOW_START


def _why_full(order: Order, state: State) -> str:
    if slots := _slots(order, state):
        return f"All {slots} slots of the cluster are taken by other models."
    kind = "machine with a GPU" if order.gpus else "machine"
    return f"The cluster has no {kind} for models; start one with `asrpro cluster start`."


def _left(replicas: list[Beat]) -> int:
    """Bytes that the processes hold that should have ended; waits for their end on each node."""
    alive = {node.id for node in nodes_of_cluster() if node.alive}
    by_node: dict[str, list[int]] = {}
    for beat in replicas:
        if beat.node in alive:
            by_node.setdefault(beat.node, []).extend(beat.pids)
    asked = [
        ray.remote(_still_held)
        .options(num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
        .remote(pids)
        for node, pids in by_node.items()
    ]
    return sum(ray.get(asked, timeout=_GONE + 30))


def _still_held(pids: list[int]) -> int:
    limit = time.monotonic() + _GONE
    while (held := memory_of(pids)) and time.monotonic() < limit:
        time.sleep(0.1)
    return held
