"""A Ray cluster on this machine: a head, and nodes with one slot. Each has an ASRPRO_HOME of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Any

import psutil
from ray._private.parameter import RayParams
from ray.cluster_utils import Cluster
from worker_process import SOURCE

from asrpro_worker.cluster.start_hook import without_unused_processes

_SMALL = 100_000_000


class Machines:
    """A context manager, which ends all machines."""

    def __init__(self, homes: Path, nodes: int, *, head_slots: int = 0) -> None:
        self._homes = homes
        self._numbers = itertools.count()
        self.head_home = homes / "head"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), str(Path(__file__).parents[1])])
        without_unused_processes(RayParams(), head=True)
        self._cluster = Cluster(initialize_head=True, head_node_args=self._settings(self.head_home, head_slots))
        # Kept, because Ray forgets it when the head is killed.
        self.address = str(self._cluster.address)
        self.nodes = [self.add() for _ in range(nodes)]

    def add(self) -> Any:
        """Add a machine."""
        return self._cluster.add_node(**self._settings(self.home(next(self._numbers)), 1))

    def kill_head(self) -> None:
        """Kill the head's GCS. Its raylet lives on, because the worker of this machine is connected to it."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def engines(self, home: Path | None = None) -> list[psutil.Process]:
        """The processes that hold a model, on one machine or on all."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and _is_engine(process, home or self._homes):
                    found.append(process)
        return found

    def home(self, number: int) -> Path:
        """ASRPRO_HOME of a node, numbered in the order of joining."""
        return self._homes / f"node-{number}"

    def kill(self, node: Any) -> None:
        """Kill all processes of a node at once, like a power failure."""
        self._cluster.remove_node(node, allow_graceful=False)

    def __enter__(self) -> Machines:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        # Ray gives each process a second to end, one after the other, and leaves agents behind when the head is gone.
        processes = [process for raylet in self._raylets() for process in [raylet, *raylet.children(recursive=True)]]
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._cluster.shutdown()

    def _raylets(self) -> list[psutil.Process]:
        nodes = [node for node in [self._cluster.head_node, *self._cluster.worker_nodes] if node is not None]
        started = [info.process for node in nodes for info in node.all_processes.get("raylet", [])]
        return [psutil.Process(process.pid) for process in started if process.poll() is None]

    def _settings(self, home: Path, slots: int) -> dict[str, Any]:
        return {
            "num_cpus": 1,
            "resources": {"asrpro_slot": slots} if slots else {},
            "object_store_memory": _SMALL,
            "include_dashboard": False,
            "include_log_monitor": False,
            "no_monitor": True,
            "env_vars": {"ASRPRO_HOME": str(home)},
        }


def _is_engine(process: psutil.Process, home: Path) -> bool:
    found = Path(process.environ().get("ASRPRO_HOME", "/"))
    return (home == found or home in found.parents) and "asrpro_worker.cluster.engine_main" in process.cmdline()
