"""One replica: an actor of Ray Serve that receives batches, and a process beside it that holds the model."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import ray
from ray import serve

from asrpro_worker.cluster.engine_process import EngineProcess
from asrpro_worker.cluster.folders import cluster_data
from asrpro_worker.cluster.model_files import model_on_node
from asrpro_worker.cluster.spec import COORDINATOR, NAMESPACE, SLOT, Heartbeat, code_digest
from asrpro_worker.errors import WorkerError, as_worker_error
from asrpro_worker.messages import Load, Model, Replicas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ray.serve import Application

    from asrpro_worker.cluster.payload import Failed, Payload
    from asrpro_worker.cluster.spec import ModelSpec
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.piece import Heard

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
# While one batch is decoded, the next one is already transferred.
_ONGOING = 2


class Replica:
    """Ray calls it in an asyncio event loop, so no method may block on the engine."""

    async def __init__(self, spec: ModelSpec) -> None:  # type: ignore[misc]  # Ray awaits it
        _keep_serve_local()
        self._spec = spec
        self._coordinator = ray.get_actor(COORDINATOR, namespace=NAMESPACE)
        self._node = ray.get_runtime_context().get_node_id()
        self._address = _own_address()
        self._phase = "start"
        self._facts: Facts | None = None
        self._pieces = 0
        self._process: EngineProcess | None = None
        self._changed = threading.Event()
        threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True).start()
        try:
            await asyncio.to_thread(self._load)
        except Exception as error:
            log.exception("The replica cannot load the model")
            failure = as_worker_error(error)
            code = "model_load_failed" if failure.code == "internal_error" else failure.code
            await self._coordinator.failed.remote(spec.name, code, failure.message)
            raise

    async def decode(self, payloads: Sequence[Payload]) -> list[Heard | Failed]:
        """One result for each piece. When the caller cancels the call, its pieces are dropped from the queue."""
        process = self._process
        if process is None:
            raise RuntimeError("Ray called a replica that is not ready")
        number, answers = process.decode(payloads)
        try:
            heard = await asyncio.wrap_future(answers)
        finally:
            process.drop(number)
        self._pieces += len(payloads)
        return heard

    def __del__(self) -> None:
        """Ray calls it to end the replica."""
        if process := getattr(self, "_process", None):
            process.end()

    def _load(self) -> None:
        spec = self._spec
        if spec.code != code_digest():
            what = "A node of the cluster runs another version of asrpro than this gateway; install the same on all."
            raise WorkerError("model_load_failed", what)
        path = self._model_path()
        request = spec.load
        model = Model(request.model.id, str(path), request.model.quantization, request.model.languages)
        load = Load(request.request, model, request.device, request.compute_type, request.threads, 0)
        # Without its engine's process the replica is useless: it ends too, and Ray starts another.
        self._process = EngineProcess(spec.engine, load, self._enter_phase, lambda: os._exit(1))
        self._facts = self._process.facts()
        self._enter_phase("loaded")

    def _model_path(self) -> Path:
        """The gateway's own files where the replica runs on the gateway's machine, else the node's copy."""
        spec = self._spec
        if self._node == spec.origin:
            return Path(spec.load.model.path)

        def sources() -> list[Any]:
            found: list[Any] = ray.get(self._coordinator.sources.remote(spec.name))
            return found

        def copied(count: int) -> None:
            self._phase = f"copied {count}"

        return model_on_node(spec.files, cluster_data(), sources, copied)

    def _enter_phase(self, phase: str) -> None:
        """Set the phase and send a heartbeat now."""
        self._phase = phase
        self._changed.set()

    def _send_heartbeats(self) -> None:
        name, node, address = self._spec.name, self._node, self._address
        while True:
            pids = (os.getpid(), *([self._process.pid] if self._process else []))
            beat = Heartbeat(name, node, address, pids, _memory_of(pids), self._pieces, self._phase, self._facts)
            self._coordinator.heartbeat.remote(beat)
            self._changed.wait(HEARTBEAT_SECONDS)
            self._changed.clear()


def _keep_serve_local() -> None:
    """After this, Serve starts a server for calls between deployments. It would listen on a port of all addresses."""
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, _: add_port(server, "127.0.0.1:0")


def _own_address() -> tuple[str, int]:
    """The address of the server that Ray runs in this process."""
    address = ray._private.state.actors(ray.get_runtime_context().get_actor_id())["Address"]  # noqa: SLF001
    return address["IPAddress"], address["Port"]


def _memory_of(pids: Sequence[int]) -> int:
    """Resident bytes of these processes of this machine; a process that has ended counts as 0."""
    total = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def application(spec: ModelSpec, replicas: int, version: str) -> Application:
    """The Serve application of a model. `replicas` is used where `spec.replicas` is not a range.

    `version` must stay the same from the start of the application to its end.
    """
    options: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": 0, "num_gpus": spec.gpus, "resources": {SLOT: 1}},
        "max_ongoing_requests": _ONGOING,
        # A model that is broken stays broken; a node that died during the load deserves a second attempt.
        "max_constructor_retry_count": 2,
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": 5,
        # Serve notices only in a health check that a replica has died. With its default of 10 s, a model without other
        # replicas was unavailable for that time.
        "health_check_period_s": HEARTBEAT_SECONDS,
        # A short network problem must not cost a replica.
        "health_check_timeout_s": 60,
    }
    if isinstance(spec.replicas, Replicas):
        options["autoscaling_config"] = {
            "min_replicas": spec.replicas.min,
            "max_replicas": spec.replicas.max,
            "target_ongoing_requests": 1,
        }
    else:
        options["num_replicas"] = replicas
    deployment = serve.deployment(name="replica", **options)(Replica)
    # By default Serve takes a new number of replicas for a new version of the code and replaces every replica.
    deployment._version = version  # noqa: SLF001 - there is no public way, and Ray's version is locked
    return deployment.bind(spec)
