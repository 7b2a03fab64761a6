"""A cluster of Ray on this machine: a head without slots, and nodes with one each, every one with a home of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ray.cluster_utils import Cluster
from worker_process import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

_SMALL = 100_000_000


class Machines:
    """`with` ends all of them."""

    def __init__(self, homes: Path, nodes: int) -> None:
        self._homes = homes
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
        self._cluster = Cluster(initialize_head=True, head_node_args=self._settings(0))
        self.nodes = [self.add() for _ in range(nodes)]

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    def add(self) -> Any:
        """One more machine."""
        return self._cluster.add_node(**self._settings(1))

    def home(self, number: int) -> Path:
        """Of the node that was the so-manieth to come."""
        return self._homes / f"node-{number}"

    def kill(self, node: Any) -> None:
        """All its processes at once, as a machine without power."""
        self._cluster.remove_node(node, allow_graceful=False)

    def __enter__(self) -> Machines:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    def _settings(self, slots: int) -> dict[str, Any]:
        number = len(self._cluster.worker_nodes) if slots else -1
        home = self._homes / f"node-{number}"
        return {
            "num_cpus": 1,
            "resources": {"asrpro_slot": slots} if slots else {},
            "object_store_memory": _SMALL,
            "include_dashboard": False,
            "env_vars": {"ASRPRO_HOME": str(home)},
        }
