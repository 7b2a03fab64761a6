"""A Ray cluster on this machine: a head without slots, and nodes with one slot. Each has an ASRPRO_HOME of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster
from worker_process import SOURCE

_SMALL = 100_000_000


class Machines:
    """A context manager, which ends all machines."""

    def __init__(self, homes: Path, nodes: int) -> None:
        self._homes = homes
        self._numbers = itertools.count()
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), str(Path(__file__).parents[1])])
        self._cluster = Cluster(initialize_head=True, head_node_args=self._settings(0))
        # Kept, because Ray forgets it when the head is killed.
        self.address = str(self._cluster.address)
        self.nodes = [self.add() for _ in range(nodes)]

    def add(self) -> Any:
        """Add a machine."""
        return self._cluster.add_node(**self._settings(1))

    def kill_head(self) -> None:
        """Kill the head's GCS. Its raylet lives on, because the worker of this machine is connected to it."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def engines(self) -> list[psutil.Process]:
        """The processes that hold a model."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and self._is_engine(process):
                    found.append(process)
        return found

    def _is_engine(self, process: psutil.Process) -> bool:
        home = process.environ().get("ASRPRO_HOME", "")
        return home.startswith(str(self._homes)) and "asrpro_worker.cluster.engine_main" in process.cmdline()

    def home(self, number: int) -> Path:
        """ASRPRO_HOME of a node, numbered in the order of joining."""
        return self._homes / f"node-{number}"

    def kill(self, node: Any) -> None:
        """Kill all processes of a node at once, like a power failure."""
        self._cluster.remove_node(node, allow_graceful=False)

    def __enter__(self) -> Machines:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    def _settings(self, slots: int) -> dict[str, Any]:
        home = self._homes / ("head" if not slots else f"node-{next(self._numbers)}")
        return {
            "num_cpus": 1,
            "resources": {"asrpro_slot": slots} if slots else {},
            "object_store_memory": _SMALL,
            "include_dashboard": False,
            "include_log_monitor": False,
            "no_monitor": True,
            "env_vars": {"ASRPRO_HOME": str(home)},
        }
