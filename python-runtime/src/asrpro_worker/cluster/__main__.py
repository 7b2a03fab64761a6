"""`python -m asrpro_worker.cluster start | status | stop`, which `asrpro cluster` runs.

Prints one line of JSON. On failure the line is `{"code", "message"}`, on stderr, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from asrpro_worker.cluster import node
from asrpro_worker.cluster.node_processes import end_node_processes
from asrpro_worker.errors import WorkerError


def main() -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args()
    try:
        result: dict[str, Any] = arguments.action(arguments)
    except WorkerError as error:
        sys.stderr.write(json.dumps({"code": error.code, "message": error.message}) + "\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _start(arguments: argparse.Namespace) -> dict[str, Any]:
    if (arguments.address is None) == (not arguments.head):
        raise WorkerError("invalid_request", "Give either --head or the HOST:PORT of the head.")
    return node.start(
        node.Settings(arguments.address, arguments.slots, arguments.ip, arguments.port, arguments.worker_ports)
    )


def _stop(_: argparse.Namespace) -> dict[str, Any]:
    return {"ended": end_node_processes()}


def _status(arguments: argparse.Namespace) -> dict[str, Any]:
    # Imported only here, because importing Ray takes a second.
    from asrpro_worker.cluster.connect import Connection

    connection = Connection(arguments.address)
    try:
        return _state(arguments.address)
    finally:
        connection.close()


def _state(address: str) -> dict[str, Any]:
    import ray

    from asrpro_worker.cluster.nodes import living_nodes
    from asrpro_worker.cluster.spec import COORDINATOR, NAMESPACE

    try:
        state = ray.get(ray.get_actor(COORDINATOR, namespace=NAMESPACE).state.remote(), timeout=20)
    except ValueError:
        # No gateway has loaded a model on this cluster yet.
        state = None
    nodes = state.nodes if state else living_nodes()
    replicas = state.replicas if state else []
    return {
        "address": address,
        "ray": ray.__version__,
        "nodes": [
            {
                **vars(one),
                "replicas": sum(beat.node == one.id for beat in replicas),
                "models": sorted({state.models[beat.application] for beat in replicas if beat.node == one.id}),
            }
            for one in nodes
        ],
        "replicas": [
            {
                "model": state.models[beat.application],
                "node": beat.node,
                "ready": beat.facts is not None,
                "phase": beat.phase,
                "device": beat.facts.device if beat.facts else None,
                "memory_bytes": beat.memory_bytes,
                "pieces": beat.pieces,
            }
            for beat in replicas
        ],
        "models": [
            {"model": state.models[name], "wanted": state.target_replicas[name], "gateways": state.users[name]}
            for name in (state.target_replicas if state else ())
        ],
        "pieces_per_second": state.pieces_per_second if state else 0.0,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asrpro cluster")
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("start")
    start.add_argument("address", nargs="?")
    start.add_argument("--head", action="store_true")
    start.add_argument("--slots", type=int)
    start.add_argument("--ip")
    start.add_argument("--port", type=int, default=node.PORT)
    start.add_argument("--worker-ports", type=_ports, default=node.WORKER_PORTS)
    start.set_defaults(action=_start)
    status = commands.add_parser("status")
    status.add_argument("--address", required=True)
    status.set_defaults(action=_status)
    stop = commands.add_parser("stop")
    stop.set_defaults(action=_stop)
    return parser


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
