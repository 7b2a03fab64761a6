"""The machines of the cluster: those that are alive, and for a while those that were lost."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from asrpro_worker.cluster.spec import SLOT, Node

# Seconds for which a lost machine stays in the list, so that `status` and `/v1/devices` show what is missing.
_KEEP_LOST = 600.0
# Ray's NodeDeathInfo: the node was stopped, or drained by an autoscaler. Nothing is missing after that.
_ORDERLY = (1, 3, 4)


class NodeList:
    """Ray keeps up to 1000 dead nodes, one more for each model that a gateway without a node loads. This drops them."""

    def __init__(self) -> None:
        # By node id: the node as it was when it was alive, with its address.
        self._alive: dict[str, tuple[str, Node]] = {}
        self._lost: dict[str, tuple[float, str, Node]] = {}

    def update(self, rows: list[dict[str, Any]], now: float) -> list[Node]:
        """The list as of `now`, from what `ray.nodes()` returned."""
        alive = {row["NodeID"]: (str(row["NodeManagerAddress"]), _node(row)) for row in rows if row["Alive"]}
        orderly = {row["NodeID"] for row in rows if row.get("DeathReason") in _ORDERLY}
        for node_id, (address, node) in self._alive.items():
            # A node without slots belongs to a gateway and ends with its model.
            if node_id not in alive and node_id not in orderly and node.slots:
                self._lost[node_id] = (now, address, replace(node, alive=False))
        self._alive = alive
        # A machine that has joined again is not missing.
        back = {address for address, node in alive.values() if node.slots}
        self._lost = {
            node_id: entry
            for node_id, entry in self._lost.items()
            if now - entry[0] < _KEEP_LOST and entry[1] not in back
        }
        return [node for _, node in alive.values()] + [node for _, _, node in self._lost.values()]

    def current(self) -> list[Node]:
        """The list as of now."""
        import ray

        return self.update(ray.nodes(), time.monotonic())


def living_nodes() -> list[Node]:
    """The nodes that are alive."""
    return NodeList().current()


def _node(row: dict[str, Any]) -> Node:
    resources = row["Resources"]
    return Node(
        id=row["NodeID"],
        name=row["NodeManagerHostname"],
        alive=True,
        cpus=float(resources.get("CPU", 0)),
        gpus=float(resources.get("GPU", 0)),
        memory_bytes=int(resources.get("memory", 0)),
        slots=int(resources.get(SLOT, 0)),
    )
