"""The way into a cluster, for the engine and for the commands."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time

# Read when Ray is imported. Nothing is told to its makers, and a wrong token is not tried for twenty seconds.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "3")

import ray
from ray._private.services import get_node_ip_address
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError

from asrpro_worker.cluster.node import OBJECT_STORE_BYTES
from asrpro_worker.cluster.order import NAMESPACE
from asrpro_worker.errors import ClusterError

log = logging.getLogger(__name__)

_REACH = 3.0
_ANSWER = 5
# Ray's processes of a machine that only sends need three seconds.
_JOIN = 60.0
_ALIVE = 0
# The kernel tells Ray's command of the death of this process, whatever that was; it takes its own with it.
_DIE_WITH_US = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", *sys.argv[1:]])
"""


class Connection:
    """This process is a driver of the cluster until `close`. Raises ClusterError `cluster_unreachable`.

    Ray wants a node on the machine of a driver. Where there is none, one without slots is made for as long.
    """

    def __init__(self, address: str) -> None:
        self._node: subprocess.Popen[bytes] | None = None
        if why := why_unreachable(address):
            raise ClusterError("cluster_unreachable", why)
        try:
            if not _is_node(address):
                self._join(address)
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
        except ClusterError:
            self.close()
            raise
        except AuthenticationError as error:
            raise ClusterError("cluster_unreachable", f"The head at {address} refuses the token.") from error
        except Exception as error:
            self.close()
            log.exception("The cluster at %s cannot be joined", address)
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ClusterError("cluster_unreachable", f"The cluster at {address} cannot be joined: {why}") from error
        # Ray takes SIGTERM for itself; the worker ends by it at once.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def close(self) -> None:
        """Leave the cluster."""
        ray.shutdown()
        if self._node is not None:
            self._node.terminate()
            self._node.wait()
            self._node = None

    def _join(self, address: str) -> None:
        log.info("This machine is no node of the cluster; it becomes one without slots")
        flags = ["--address", address, "--num-cpus", "0", "--num-gpus", "0", "--disable-usage-stats", "--block"]
        store = ["--object-store-memory", str(OBJECT_STORE_BYTES)]
        self._node = subprocess.Popen(  # noqa: S603 - Ray's own command
            [sys.executable, "-c", _DIE_WITH_US, "start", *flags, *store], stdin=subprocess.DEVNULL
        )
        limit = time.monotonic() + _JOIN
        while not _is_node(address):
            if self._node.poll() is not None or time.monotonic() > limit:
                raise ClusterError("cluster_unreachable", "This machine cannot become a node; the log has the details.")
            time.sleep(0.2)


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


def _is_node(address: str) -> bool:
    own = {get_node_ip_address(address), get_node_ip_address(), "127.0.0.1"}
    infos = GcsClient(address=address).get_all_node_info(timeout=_ANSWER).values()
    return any(info.state == _ALIVE and info.node_manager_address in own for info in infos)
