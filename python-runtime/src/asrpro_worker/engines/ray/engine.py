"""The engine `ray`: sends batches of pieces to the replicas of a Ray Serve application."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# Before Ray: it sets environment variables that Ray reads when it is imported.
from asrpro_worker.cluster.connect import Connection  # isort: skip

import ray
from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, RayError
from ray.exceptions import WorkerCrashedError as RayWorkerCrashedError
from ray.serve.exceptions import RayServeException
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from asrpro_worker.cluster.coordinator import open_coordinator
from asrpro_worker.cluster.exits import Exits
from asrpro_worker.cluster.model_files import Source, describe
from asrpro_worker.cluster.nodes import living_nodes
from asrpro_worker.cluster.payload import Failed, pack
from asrpro_worker.cluster.spec import ModelSpec, code_digest
from asrpro_worker.engines.ray.model_check import check_model
from asrpro_worker.engines.ray.watch import Watch
from asrpro_worker.errors import ClusterError, WorkerError
from asrpro_worker.messages import Cluster, Load, OnCluster, ProbedDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asrpro_worker.cluster.payload import Payload
    from asrpro_worker.cluster.spec import ClusterState
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.piece import Heard, Outcome, Piece

log = logging.getLogger(__name__)

# Pieces in one call.
BATCH = 8
# Calls in flight beyond one for each replica, so that the next batch is transferred while a replica decodes.
SPARE_CALLS = 2
# Attempts for one batch. After that the batch itself may be what kills the replicas.
_ATTEMPTS = 3
# Time limits of a load, in seconds: until the first replica has a slot, where other models hold all slots or where
# some are free, and for a replica without progress. Copying a model counts as progress.
_SLOT_TIMEOUT = 20.0
_START_TIMEOUT = 120.0
_PROGRESS_TIMEOUT = 300.0
# Some replicas are ready and the others have made no progress for this long: the load is done with those.
_SETTLED_SECONDS = 10.0
# How long a call waits while the model has no replica at all.
_REPLICA_TIMEOUT = 60.0
# How often a waiting call reports that its jobs are alive, and checks for cancellation.
_ALIVE_SECONDS = 0.25
# How long an unload waits for the replicas' processes to end.
_EXIT_TIMEOUT = 15.0

# Exceptions for a replica or a machine that died or became unreachable.
_LOST = (RayActorError, RayWorkerCrashedError, NodeDiedError, ObjectLostError)


class RayEngine:
    """A driver of the cluster. Gateways that load the same model share one application."""

    def __init__(self) -> None:
        self._send: Callable[[WorkerMessage], None] = lambda _: None
        self._connection: Connection | None = None
        self._coordinator: Any = None
        self._spec: ModelSpec | None = None
        self._source: Any = None
        self._handle: Any = None
        self._watch: Watch | None = None

    def report_to(self, send: Callable[[WorkerMessage], None]) -> None:
        """See Remote.report_to."""
        self._send = send

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. Returns when all replicas for which the cluster has slots have loaded the model."""
        cluster = request.cluster
        if cluster is None:
            raise WorkerError("model_load_failed", "The engine 'ray' needs the address of a cluster.")
        check_model(cluster.engine, request.model)
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
                log.exception("The cluster failed while it loaded the model")
                what = f"The cluster failed while it loaded the model ({type(error).__name__})."
                raise ClusterError("cluster_unreachable", what) from error
            raise
        return replace(facts, batch=BATCH, in_flight=self._in_flight)

    def _join(self, request: Load, cluster: OnCluster, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        here = ray.get_runtime_context().get_node_id()
        files = describe(Path(request.model.path))
        gpus = _gpus(request.device)
        spec = ModelSpec(cluster.engine, request, files, cluster.replicas, gpus, origin=here, code=code_digest())
        self._spec = spec
        on_this_node = NodeAffinitySchedulingStrategy(here, soft=False)
        source = ray.remote(Source).options(num_cpus=0, scheduling_strategy=on_this_node)
        self._source = source.remote(request.model.path, files)
        self._coordinator = open_coordinator()
        self._watch = Watch(self._coordinator, spec.name, cluster.address, self._send)
        ray.get(self._coordinator.join.remote(spec, _user(), self._source))
        facts = self._wait(spec, self._watch, phase)
        self._handle = serve.get_app_handle(spec.name)
        return facts

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> Sequence[Outcome | Exception]:
        """See Engine.decode. A batch whose replica died is sent again; all other retries happen in the replica."""
        watch = self._watch
        if watch is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        payloads = [pack(piece) for piece in pieces]
        for _ in range(_ATTEMPTS):
            alive()
            # Otherwise a batch that failed with the head would be tried piece by piece, until the process exits.
            watch.check(_REPLICA_TIMEOUT)
            try:
                heard = self._call(watch, payloads, alive)
            except _LOST as error:
                log.warning("A batch of %d pieces was lost with its replica (%s)", len(payloads), type(error).__name__)
                continue
            return [one.error() if isinstance(one, Failed) else one for one in heard]
        what = f"The machine that worked on this file died, {_ATTEMPTS} times in a row."
        raise ClusterError("worker_crashed", what)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe. Each node chooses its own device."""
        return ProbedDevice(
            device, usable=False, compute_types=[], reason="The engine 'ray' uses the devices of other machines."
        )

    def unload(self) -> tuple[int, int]:
        """See Remote.unload. The last gateway to leave ends the application and waits for its processes to exit."""
        before = after = 0
        if self._watch is not None and self._spec is not None:
            self._watch.stop()
            replicas = self._watch.state.replicas if self._watch.state else []
            before = after = sum(beat.memory_bytes for beat in replicas)
            try:
                with Exits(replicas) as exits:
                    if ray.get(self._coordinator.leave.remote(self._spec.name, _user()), timeout=60):
                        after = exits.wait(_EXIT_TIMEOUT)
            except Exception:
                log.exception("The cluster did not confirm that the model was unloaded")
        if self._connection is not None:
            self._connection.close()
        return before, after

    def _in_flight(self) -> int:
        return (len(self._watch.ready) if self._watch else 0) + SPARE_CALLS

    def _wait(self, spec: ModelSpec, watch: Watch, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        started = last_progress = time.monotonic()
        seen: object = None
        while True:
            state = watch.look()
            now = time.monotonic()
            progress = sorted((beat.pids, beat.phase) for beat in state.replicas)
            if progress != seen:
                seen, last_progress = progress, now
                phase("warm-up" if any(beat.phase == "warm-up" for beat in state.replicas) else "weights")
            ready = watch.ready
            target = state.target_replicas.get(spec.name, 1)
            if ready and (len(ready) >= target or now - last_progress > _SETTLED_SECONDS):
                return next(beat.facts for beat in ready if beat.facts)
            if spec.name in state.failures and not ready:
                raise WorkerError(*state.failures[spec.name])
            if not state.replicas and now - started > _slot_timeout(spec, state):
                raise ClusterError("cluster_full", _why_full(spec, state))
            if now - last_progress > _PROGRESS_TIMEOUT:
                raise WorkerError("model_load_failed", "Loading made no progress on any machine for five minutes.")
            time.sleep(_ALIVE_SECONDS)

    def _call(self, watch: Watch, payloads: list[Payload], alive: Callable[[], None]) -> list[Heard | Failed]:
        response = self._handle.decode.remote(payloads)
        heard: list[Heard | Failed] | None = None
        try:
            while heard is None:
                try:
                    heard = response.result(timeout_s=_ALIVE_SECONDS)
                except TimeoutError:
                    alive()
                    watch.check(_REPLICA_TIMEOUT)
        except _LOST:
            raise
        except RayServeException as error:
            watch.check(0)
            raise ClusterError("cluster_unreachable", "The cluster no longer runs the model.") from error
        finally:
            # A cancellation needs an answer from the head.
            if heard is None and not watch.lost:
                response.cancel()
        return heard


def create() -> RayEngine:
    """The engine, before it connects."""
    return RayEngine()


def _user() -> str:
    return str(ray.get_runtime_context().get_job_id())


def _gpus(device: str) -> int:
    """GPUs for each replica. With `auto` it is one, if any node with slots has a GPU."""
    if device == "auto":
        return int(any(node.slots and node.gpus for node in living_nodes()))
    return int(device.startswith("cuda"))


def _slots(spec: ModelSpec, state: ClusterState) -> int:
    return sum(node.slots for node in state.nodes if node.alive and node.gpus >= spec.gpus)


def _slot_timeout(spec: ModelSpec, state: ClusterState) -> float:
    """Seconds after which a load without any replica fails. A replica that has a slot may take long to start."""
    slots = _slots(spec, state)
    if not slots:
        return 0.0
    taken = sum(replicas for name, replicas in state.target_replicas.items() if name != spec.name)
    return _SLOT_TIMEOUT if taken >= slots else _START_TIMEOUT


def _why_full(spec: ModelSpec, state: ClusterState) -> str:
    if slots := _slots(spec, state):
        return f"Other models use all {slots} slots of the cluster."
    kind = "machine with a GPU" if spec.gpus else "machine"
    return f"The cluster has no {kind} for models; start one with `asrpro cluster start`."
