"""The one that decides what runs on the cluster: an actor beside the head, which all gateways share."""

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

from asrpro_worker.cluster.order import BOOK, NAMESPACE, SLOT, Node, State
from asrpro_worker.cluster.replica import BEAT, application
from asrpro_worker.messages import Replicas

if TYPE_CHECKING:
    from asrpro_worker.cluster.order import Beat, Order

log = logging.getLogger(__name__)

_TEND = 1.0
# A replica that has said nothing for so long is gone; the actor of one that works always has time for it.
_SILENT = 4 * BEAT
# What the rate of pieces is the mean of.
_RATE = 60.0


@dataclass
class _Application:
    order: Order
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    # By job of Ray: the driver in each gateway's worker, and its actor that has the model's files.
    users: dict[str, Any] = field(default_factory=dict)
    replicas: int = 0
    beats: dict[tuple[str, int], tuple[float, Beat]] = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    # When, and how many pieces were done between that and the entry before.
    done: deque[tuple[float, int]] = field(default_factory=deque)


class Book:
    """Who uses which application, and what its replicas say. A gateway that has died is found by the end of its job."""

    def __init__(self) -> None:
        # Held for what takes seconds: one application begins or ends at a time, and nobody else waits for that.
        self._changing = threading.RLock()
        self._lock = threading.RLock()
        self._applications: dict[str, _Application] = {}
        threading.Thread(target=self._tend, name="tend", daemon=True).start()

    def join(self, order: Order, user: str, source: Any) -> None:
        """The application runs from now on, at least until this user leaves."""
        with self._changing:
            with self._lock:
                entry = self._applications.setdefault(order.name, _Application(order))
                entry.users[user] = source
                entry.failure = None
            self._scale()

    def leave(self, name: str, user: str) -> bool:
        """Waits for the end of the application, if nobody else uses it. Has it ended?"""
        with self._changing:
            with self._lock:
                entry = self._applications.get(name)
                if entry is None:
                    return True
                entry.users.pop(user, None)
                if entry.users:
                    return False
            self._end(name)
            self._scale()
            return True

    def beat(self, beat: Beat) -> None:
        """A replica says how it is."""
        now = time.monotonic()
        with self._lock:
            if entry := self._applications.get(beat.application):
                key = (beat.node, beat.pids[0])
                before = entry.beats[key][1].pieces if key in entry.beats else 0
                entry.beats[key] = (now, beat)
                entry.done.append((now, beat.pieces - before))
                while entry.done and entry.done[0][0] < now - _RATE:
                    entry.done.popleft()

    def failed(self, name: str, code: str, message: str) -> None:
        """A replica could not load the model."""
        with self._lock:
            if entry := self._applications.get(name):
                entry.failure = (code, message)

    def sources(self, name: str) -> list[Any]:
        """Actors that have the files."""
        with self._lock:
            entry = self._applications.get(name)
            return list(entry.users.values()) if entry else []

    def state(self, name: str | None = None) -> State:
        """Of one application or all; the nodes are those of all."""
        with self._lock:
            nodes = nodes_of_cluster()
            alive = {node.id for node in nodes if node.alive}
            for entry in self._applications.values():
                self._forget_silent(entry, alive)
            chosen = {key: entry for key, entry in self._applications.items() if name in (None, key)}
            return State(
                nodes=nodes,
                replicas=[beat for entry in chosen.values() for _, beat in entry.beats.values()],
                models={key: entry.order.load.model.id for key, entry in self._applications.items()},
                wanted={key: entry.replicas for key, entry in chosen.items()},
                users={key: len(entry.users) for key, entry in chosen.items()},
                pieces_per_second=sum(_rate(entry) for entry in chosen.values()),
                failures={key: entry.failure for key, entry in chosen.items() if entry.failure},
            )

    def _forget_silent(self, entry: _Application, alive: set[str]) -> None:
        limit = time.monotonic() - _SILENT
        entry.beats = {key: kept for key, kept in entry.beats.items() if key[0] in alive and kept[0] >= limit}

    def _tend(self) -> None:
        while True:
            time.sleep(_TEND)
            try:
                with self._changing:
                    self._forget_users()
                    self._scale()
            except Exception:
                log.exception("The cluster's book could not be kept")

    def _forget_users(self) -> None:
        running = {job["JobID"] for job in ray._private.state.jobs() if not job["IsDead"]}  # noqa: SLF001
        for name, entry in list(self._applications.items()):
            with self._lock:
                for user in [user for user in entry.users if user not in running]:
                    log.warning("A gateway that used %s has gone without leaving", name)
                    del entry.users[user]
            if not entry.users:
                self._end(name)

    def _scale(self) -> None:
        """Applications that leave the number open share the slots that the others leave."""
        nodes = [node for node in nodes_of_cluster() if node.alive]
        open_ones = [entry for entry in self._applications.values() if entry.order.replicas is None]
        taken = sum(_least(entry.order) for entry in self._applications.values())
        for name, entry in self._applications.items():
            slots = sum(node.slots for node in nodes if node.gpus >= entry.order.gpus)
            replicas = _least(entry.order) or max(1, (slots - taken) // len(open_ones))
            if replicas != entry.replicas:
                log.info("%s has %d replicas from now on", name, replicas)
                entry.replicas = replicas
                # Ray would listen for HTTP on every node, which nobody asks for and which takes 100 MB each.
                serve.start(proxy_location=ProxyLocation.Disabled)
                target = serve.RunTarget(
                    application(entry.order, replicas, entry.version), name=name, route_prefix=None
                )
                serve.run_many([target], wait_for_applications_running=False)

    def _end(self, name: str) -> None:
        with self._lock:
            del self._applications[name]
        serve.delete(name)


def _least(order: Order) -> int:
    """0 where the number is left open."""
    return order.replicas.min if isinstance(order.replicas, Replicas) else order.replicas or 0


def _rate(entry: _Application) -> float:
    return sum(pieces for _, pieces in entry.done) / _RATE


def nodes_of_cluster() -> list[Node]:
    """All that ever joined this cluster; those that died are not alive."""
    return [
        Node(
            id=node["NodeID"],
            name=node["NodeManagerHostname"],
            alive=bool(node["Alive"]),
            cpus=float(node["Resources"].get("CPU", 0)),
            gpus=float(node["Resources"].get("GPU", 0)),
            memory_bytes=int(node["Resources"].get("memory", 0)),
            slots=int(node["Resources"].get(SLOT, 0)),
        )
        for node in ray.nodes()
    ]


def open_book() -> Any:
    """The cluster's one book; made by whoever is first, on the head, so that it lives as long as that does."""
    options = {
        "name": BOOK,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "resources": {"node:__internal_head__": 0.001},
        "max_concurrency": 32,
    }
    return ray.remote(Book).options(**options).remote()
