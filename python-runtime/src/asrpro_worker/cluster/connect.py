"""The way into a cluster, for the engine and for the commands."""

from __future__ import annotations

import logging
import os
import signal
import socket

import ray
from ray.exceptions import AuthenticationError

from asrpro_worker.cluster.order import NAMESPACE
from asrpro_worker.errors import ClusterError

log = logging.getLogger(__name__)

_REACH = 3.0


def connect(address: str) -> None:
    """Make this process a driver of the cluster. Raises ClusterError `cluster_unreachable`."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray would fill stderr with what its processes print, and look for a newer version of itself.
    os.environ.setdefault("RAY_LOG_TO_DRIVER", "0")
    why = why_unreachable(address)
    if why is not None:
        raise ClusterError("cluster_unreachable", why)
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except AuthenticationError as error:
        raise ClusterError("cluster_unreachable", f"The head at {address} refuses the token.") from error
    except Exception as error:
        log.exception("The cluster at %s cannot be joined", address)
        raise ClusterError(
            "cluster_unreachable", f"The cluster at {address} cannot be joined: {_first(error)}"
        ) from error
    # Ray takes SIGTERM for itself; the worker ends by it at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def why_unreachable(address: str) -> str | None:
    """Does anybody listen there? Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return f"'{address}' is no address of a head; it looks like 10.0.0.1:6379."
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH).close()
    except OSError as error:
        return f"The head at {address} does not answer ({error.strerror or error})."
    return None


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
