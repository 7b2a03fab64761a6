"""The actor that decides which models run on the cluster. It lives on the head, and all gateways share it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.serve.config import ProxyLocation

from asrpro_worker.cluster.nodes import NodeList
from asrpro_worker.cluster.replica import HEARTBEAT_SECONDS, application
from asrpro_worker.cluster.spec import COORDINATOR, NAMESPACE, ClusterState
from asrpro_worker.messages import Replicas

if TYPE_CHECKING:
    from asrpro_worker.cluster.spec import Heartbeat, ModelSpec

log = logging.getLogger(__name__)

_RECONCILE_SECONDS = 1.0
# A replica without a heartbeat for this long is gone: heartbeats have a thread of their own and do not wait for work.
_SILENT_SECONDS = 4 * HEARTBEAT_SECONDS
# How long the end of an application may take, and how often it is checked.
_END_TIMEOUT = 60.0
_POLL_SECONDS = 0.1
# `pieces_per_second` is the mean over this many seconds.
_RATE_SECONDS = 60.0


@dataclass
class _Application:
    spec: ModelSpec
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    # By Ray job id, one for each gateway: the gateway's actor that serves the model's files.
    users: dict[str, Any] = field(default_factory=dict)
    replicas: int = 0
    heartbeats: dict[tuple[str, int], tuple[float, Heartbeat]] = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    # Time of a heartbeat, and the pieces decoded since the heartbeat before.
    decoded: deque[tuple[float, int]] = field(default_factory=deque)


class Coordinator:
    """Which gateways use which application, and what its replicas report."""

    def __init__(self) -> None:
        # Held while an application starts or ends, which takes seconds. `_lock` is held for moments only, so that
        # heartbeats and `state` never wait for that.
        self._changing = threading.RLock()
        self._lock = threading.RLock()
        self._applications: dict[str, _Application] = {}
        self._nodes = NodeList()
        threading.Thread(target=self._reconcile, name="reconcile", daemon=True).start()

    def join(self, spec: ModelSpec, user: str, source: Any) -> None:
        """Run the application at least until this user leaves."""
        with self._changing:
            with self._lock:
                entry = self._applications.setdefault(spec.name, _Application(spec))
                entry.users[user] = source
                entry.failure = None
            self._scale()

    def leave(self, name: str, user: str) -> bool:
        """Remove a user; the last one ends the application and waits for it. True if the application has ended."""
        with self._changing:
            with self._lock:
                if entry := self._applications.get(name):
                    entry.users.pop(user, None)
            self._end_unused()
            self._scale()
            return name not in self._applications

    def heartbeat(self, beat: Heartbeat) -> None:
        """Called by each replica every two seconds, and when its phase changes."""
        now = time.monotonic()
        with self._lock:
            if entry := self._applications.get(beat.application):
                key = (beat.node, beat.pids[0])
                before = entry.heartbeats[key][1].pieces if key in entry.heartbeats else 0
                entry.heartbeats[key] = (now, beat)
                entry.decoded.append((now, beat.pieces - before))
                while entry.decoded and entry.decoded[0][0] < now - _RATE_SECONDS:
                    entry.decoded.popleft()

    def failed(self, name: str, code: str, message: str) -> None:
        """A replica could not load the model."""
        with self._lock:
            if entry := self._applications.get(name):
                entry.failure = (code, message)

    def sources(self, name: str) -> list[Any]:
        """The actors that serve the model's files."""
        with self._lock:
            entry = self._applications.get(name)
            return list(entry.users.values()) if entry else []

    def state(self, name: str | None = None) -> ClusterState:
        """State of one application or of all; `nodes` and `models` always cover everything."""
        with self._lock:
            nodes = self._nodes.current()
            alive = {node.id for node in nodes if node.alive}
            for entry in self._applications.values():
                _drop_silent(entry, alive)
            chosen = {key: entry for key, entry in self._applications.items() if name in (None, key)}
            return ClusterState(
                nodes=nodes,
                replicas=[beat for entry in chosen.values() for _, beat in entry.heartbeats.values()],
                models={key: entry.spec.load.model.id for key, entry in self._applications.items()},
                target_replicas={key: entry.replicas for key, entry in chosen.items()},
                users={key: len(entry.users) for key, entry in chosen.items()},
                pieces_per_second=sum(_rate(entry) for entry in chosen.values()),
                failures={key: entry.failure for key, entry in chosen.items() if entry.failure},
            )

    def _reconcile(self) -> None:
        while True:
            time.sleep(_RECONCILE_SECONDS)
            try:
                with self._changing:
                    self._end_unused()
                    self._scale()
            except Exception:
                log.exception("The coordinator could not update the applications")

    def _end_unused(self) -> None:
        """End applications without users. A killed gateway never calls `leave`, but Ray marks its job as dead."""
        running = {job["JobID"] for job in ray._private.state.jobs() if not job["IsDead"]}  # noqa: SLF001
        for name, entry in list(self._applications.items()):
            with self._lock:
                for user in [user for user in entry.users if user not in running]:
                    log.warning("A gateway that used %s ended without leaving", name)
                    del entry.users[user]
            if not entry.users:
                self._end(name)

    def _scale(self) -> None:
        """Applications without a configured number of replicas share the slots that the others leave free."""
        with self._lock:
            nodes = [node for node in self._nodes.current() if node.alive]
        elastic = [entry for entry in self._applications.values() if entry.spec.replicas is None]
        reserved = sum(_configured_minimum(entry.spec) for entry in self._applications.values())
        for name, entry in self._applications.items():
            slots = sum(node.slots for node in nodes if node.gpus >= entry.spec.gpus)
            replicas = _configured_minimum(entry.spec) or max(1, (slots - reserved) // len(elastic))
            if replicas != entry.replicas:
                log.info("Setting the number of replicas of %s to %d", name, replicas)
                entry.replicas = replicas
                # By default Serve runs an HTTP proxy on every node. Nothing uses it, and it takes 100 MB on each.
                serve.start(proxy_location=ProxyLocation.Disabled)
                target = serve.RunTarget(application(entry.spec, replicas, entry.version), name=name, route_prefix=None)
                serve.run_many([target], wait_for_applications_running=False)

    def _end(self, name: str) -> None:
        with self._lock:
            del self._applications[name]
        # Serve's own wait looks once a second.
        serve.delete(name, _blocking=False)
        deadline = time.monotonic() + _END_TIMEOUT
        while name in serve.status().applications:
            if time.monotonic() > deadline:
                raise TimeoutError(name)
            time.sleep(_POLL_SECONDS)


def _drop_silent(entry: _Application, alive: set[str]) -> None:
    oldest = time.monotonic() - _SILENT_SECONDS
    entry.heartbeats = {key: kept for key, kept in entry.heartbeats.items() if key[0] in alive and kept[0] >= oldest}


def _configured_minimum(spec: ModelSpec) -> int:
    """0 where the configuration leaves the number open."""
    return spec.replicas.min if isinstance(spec.replicas, Replicas) else spec.replicas or 0


def _rate(entry: _Application) -> float:
    return sum(pieces for _, pieces in entry.decoded) / _RATE_SECONDS


def open_coordinator() -> Any:
    """The cluster's one coordinator. The first gateway creates it on the head, where it lives as long as the head."""
    options = {
        "name": COORDINATOR,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "resources": {"node:__internal_head__": 0.001},
        "max_concurrency": 32,
    }
    return ray.remote(Coordinator).options(**options).remote()
