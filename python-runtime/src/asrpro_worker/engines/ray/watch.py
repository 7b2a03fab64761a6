"""Watches the cluster, reports changes to the gateway, and ends the worker when the head is lost."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray

from asrpro_worker.cluster.head import wait_until_unreachable, why_unreachable
from asrpro_worker.errors import ClusterError
from asrpro_worker.messages import Cluster, ClusterNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.cluster.spec import ClusterState, Heartbeat
    from asrpro_worker.messages import WorkerMessage

log = logging.getLogger(__name__)

_POLL_SECONDS = 2.0
# The coordinator answers in milliseconds, but its machine may be busy while an application starts.
_STATE_TIMEOUT = 20.0
# In a row: a single failure may be a network problem that is over already.
_MAX_FAILURES = 2
# Time for running jobs to fail and for their messages to be sent before the process exits.
_EXIT_DELAY = 2.0
# EX_UNAVAILABLE of sysexits.h.
EXIT_UNREACHABLE = 69


class Watch:
    """Two threads: one polls the coordinator, the other holds a connection to the head. `state` is the last poll."""

    def __init__(self, coordinator: Any, application: str, address: str, send: Callable[[WorkerMessage], None]) -> None:
        self._coordinator = coordinator
        self._application = application
        self._address = address
        self._send = send
        self._reported: Cluster | None = None
        self._reason: str | None = None
        self._ending = threading.Lock()
        self._stopped = threading.Event()
        self._last_ready = time.monotonic()
        self.state: ClusterState | None = None
        threading.Thread(target=self._poll, name="watch", daemon=True).start()
        threading.Thread(target=self._watch_head, name="watch-head", daemon=True).start()

    @property
    def lost(self) -> bool:
        """The head is lost, and this process will exit."""
        return self._reason is not None

    @property
    def ready(self) -> list[Heartbeat]:
        """Replicas that have loaded the model."""
        return [beat for beat in self.state.replicas if beat.facts] if self.state else []

    def look(self) -> ClusterState:
        """Ask the coordinator now. Raises ClusterError."""
        self.check(float("inf"))
        try:
            state: ClusterState = ray.get(self._coordinator.state.remote(None), timeout=_STATE_TIMEOUT)
        except Exception as error:
            reason = why_unreachable(self._address)
            reason = reason or f"The head at {self._address} does not answer ({type(error).__name__})."
            raise ClusterError("cluster_unreachable", reason) from error
        mine = [beat for beat in state.replicas if beat.application == self._application]
        self.state = replace(state, replicas=mine)
        self._report(Cluster(reachable=True, reason=None, nodes=_nodes(state)))
        if self.ready:
            self._last_ready = time.monotonic()
        return self.state

    def check(self, max_seconds: float) -> None:
        """Raise ClusterError if the head is lost, or if there was no ready replica for longer than `max_seconds`."""
        if self._reason is not None:
            raise ClusterError("cluster_unreachable", self._reason)
        if time.monotonic() - self._last_ready > max_seconds:
            raise ClusterError("cluster_full", "No machine of the cluster has a replica of the model any more.")

    def stop(self) -> None:
        """Stop watching and reporting."""
        self._stopped.set()

    def _poll(self) -> None:
        failures = 0
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.look()
            except ClusterError as error:
                failures += 1
                if failures == _MAX_FAILURES:
                    self._end(error.message)
                    return
            else:
                failures = 0

    def _watch_head(self) -> None:
        """Polling alone took twelve seconds to notice a dead head, because calls to it wait for a reconnection."""
        if reason := wait_until_unreachable(self._address, self._stopped):
            self._end(reason)

    def _end(self, reason: str) -> None:
        """End the process: Ray cannot join a second cluster in the same process, and a new worker can."""
        if self._stopped.is_set() or not self._ending.acquire(blocking=False):
            return
        log.error("The cluster is lost: %s", reason)
        self._reason = reason
        nodes = self._reported.nodes if self._reported else []
        self._report(Cluster(reachable=False, reason=reason, nodes=nodes))
        time.sleep(_EXIT_DELAY)
        os._exit(EXIT_UNREACHABLE)

    def _report(self, message: Cluster) -> None:
        if message != self._reported and not (self._reason and message.reachable):
            self._reported = message
            self._send(message)


def _nodes(state: ClusterState) -> list[ClusterNode]:
    nodes = []
    for node in state.nodes:
        here = [beat for beat in state.replicas if beat.node == node.id and beat.facts]
        models = sorted({state.models[beat.application] for beat in here})
        nodes.append(ClusterNode(**vars(node), replicas=len(here), models=models))
    return nodes
