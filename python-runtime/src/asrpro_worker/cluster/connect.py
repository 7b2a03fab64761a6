"""Joins this process to a cluster, for the engine and for the commands."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

# Ray reads these when it is imported: no usage reports, and a wrong token fails at once instead of after 20 seconds.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "3")
# The samples of a batch travel inside of the call. Through the object stores of both nodes they take 5 to 9 ms longer.
os.environ.setdefault("RAY_max_direct_call_object_size", str(10 * 1024 * 1024))

import ray
from ray._private.services import get_node_ip_address
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError

from asrpro_worker.cluster.head import why_unreachable
from asrpro_worker.cluster.node import OBJECT_STORE_BYTES
from asrpro_worker.cluster.spec import NAMESPACE
from asrpro_worker.errors import ClusterError

log = logging.getLogger(__name__)

_GCS_TIMEOUT = 5
# Ray's processes on a machine that only sends take three seconds to start.
_JOIN_TIMEOUT = 60.0
_ALIVE = 0
# PR_SET_PDEATHSIG: the kernel ends Ray's command when this process dies in any way; the command ends its children.
_DIE_WITH_US = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", *sys.argv[1:]])
"""


class Connection:
    """This process is a driver of the cluster until `close`. Raises ClusterError `cluster_unreachable`.

    Ray needs a node on the machine of each driver. Where there is none, one without slots runs until `close`.
    """

    def __init__(self, address: str) -> None:
        self._node: subprocess.Popen[bytes] | None = None
        if why := why_unreachable(address):
            raise ClusterError("cluster_unreachable", why)
        try:
            if not _is_node(address):
                self._start_node(address)
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
        except ClusterError:
            self.close()
            raise
        except AuthenticationError as error:
            self.close()
            raise ClusterError("cluster_unreachable", f"The head at {address} refuses the token.") from error
        except Exception as error:
            self.close()
            log.exception("Cannot join the cluster at %s", address)
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ClusterError("cluster_unreachable", f"Cannot join the cluster at {address}: {why}") from error
        # `ray.init` installs a SIGTERM handler; the worker must end at once on SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def close(self) -> None:
        """Leave the cluster."""
        ray.shutdown()
        if self._node is not None:
            self._node.terminate()
            self._node.wait()
            self._node = None

    def _start_node(self, address: str) -> None:
        log.info("This machine is not a node of the cluster; starting one without slots")
        flags = ["--address", address, "--num-cpus", "0", "--num-gpus", "0", "--disable-usage-stats", "--block"]
        store = ["--object-store-memory", str(OBJECT_STORE_BYTES), "--include-log-monitor", "false"]
        self._node = subprocess.Popen(  # noqa: S603 - Ray's own command
            [sys.executable, "-c", _DIE_WITH_US, "start", *flags, *store], stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _JOIN_TIMEOUT
        while not _is_node(address):
            if self._node.poll() is not None or time.monotonic() > deadline:
                raise ClusterError("cluster_unreachable", "This machine cannot become a node; the log has the details.")
            time.sleep(0.2)


def _is_node(address: str) -> bool:
    own = {get_node_ip_address(address), get_node_ip_address(), "127.0.0.1"}
    infos = GcsClient(address=address).get_all_node_info(timeout=_GCS_TIMEOUT).values()
    return any(info.state == _ALIVE and info.node_manager_address in own for info in infos)
