"""Looks at the cluster every two seconds, tells the gateway what changed, and ends the worker when the head is gone."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import ray

from asrpro_worker.cluster.connect import why_unreachable
from asrpro_worker.errors import ClusterError
from asrpro_worker.messages import Cluster, ClusterNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.cluster.order import Beat, State
    from asrpro_worker.messages import WorkerMessage

log = logging.getLogger(__name__)

_EVERY = 2.0
# An answer of the book takes milliseconds; a head that starts an application may be busy for a while.
_PATIENCE = 20.0
# In a row. A network that stutters once is not the end.
_MOST_FAILURES = 2
# For the answers to the jobs that run and for the message to leave, before the process ends.
_FAREWELL = 2.0
# As for a service that is not there: sysexits.h.
EXIT_UNREACHABLE = 69


class Watch:
    """`state` is what the cluster was at the last look."""

    def __init__(self, book: Any, application: str, address: str, send: Callable[[WorkerMessage], None]) -> None:
        self._book = book
        self._application = application
        self._address = address
        self._send = send
        self._told: Cluster | None = None
        self._reason: str | None = None
        self._stopped = threading.Event()
        self._with_replica = time.monotonic()
        self.state: State | None = None
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    @property
    def ready(self) -> list[Beat]:
        """Replicas that have the model."""
        replicas = self.state.replicas if self.state else []
        return [beat for beat in replicas if beat.facts and beat.application == self._application]

    def look(self) -> State:
        """Ask now. Raises ClusterError."""
        self.check(float("inf"))
        try:
            state: State = ray.get(self._book.state.remote(None), timeout=_PATIENCE)
        except Exception as error:
            raise ClusterError("cluster_unreachable", self._why(error)) from error
        mine = [beat for beat in state.replicas if beat.application == self._application]
        self.state = type(state)(**{**vars(state), "replicas": mine})
        self._tell(Cluster(reachable=True, reason=None, nodes=_nodes(state)))
        if self.ready:
            self._with_replica = time.monotonic()
        return self.state

    def check(self, patience: float) -> None:
        """Raise ClusterError where the head is gone, or where there was no replica for so many seconds."""
        if self._reason is not None:
            raise ClusterError("cluster_unreachable", self._reason)
        if time.monotonic() - self._with_replica > patience:
            raise ClusterError("cluster_full", "No machine of the cluster has a replica of the model any more.")

    def stop(self) -> None:
        """Nothing is told from now on."""
        self._stopped.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopped.wait(_EVERY):
            try:
                self.look()
            except ClusterError as error:
                failures += 1
                if failures < _MOST_FAILURES or self._stopped.is_set():
                    continue
                self._end(error.message)
                return
            failures = 0

    def _end(self, reason: str) -> None:
        """Ray cannot leave a cluster that died and enter its successor in one process; a new worker can."""
        log.error("The cluster is gone: %s", reason)
        self._reason = reason
        nodes = self._told.nodes if self._told else []
        self._tell(Cluster(reachable=False, reason=reason, nodes=nodes))
        time.sleep(_FAREWELL)
        os._exit(EXIT_UNREACHABLE)

    def _tell(self, message: Cluster) -> None:
        if message != self._told:
            self._told = message
            self._send(message)

    def _why(self, error: Exception) -> str:
        return (
            why_unreachable(self._address) or f"The head at {self._address} does not answer ({type(error).__name__})."
        )


def _nodes(state: State) -> list[ClusterNode]:
    told = []
    for node in state.nodes:
        here = [beat for beat in state.replicas if beat.node == node.id and beat.facts]
        models = sorted({state.models[beat.application] for beat in here})
        told.append(
            ClusterNode(
                id=node.id,
                name=node.name,
                alive=node.alive,
                cpus=node.cpus,
                gpus=node.gpus,
                memory_bytes=node.memory_bytes,
                slots=node.slots,
                replicas=len(here),
                models=models,
            )
        )
    return told
