"""`python -m asrpro_worker.cluster start | status | stop`, behind `asrpro cluster`.

Prints one line of JSON with `--json`; fails with exit code 1 and one line `{"code", "message"}`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from asrpro_worker.cluster import node
from asrpro_worker.errors import WorkerError

_BETWEEN = "Open these ports between the cluster's machines and to nobody else: with the token, they run any code."


def main() -> int:
    """The exit code."""
    arguments = _parser().parse_args()
    try:
        told: dict[str, Any] = arguments.action(arguments)
    except WorkerError as error:
        failure = {"code": error.code, "message": error.message}
        sys.stderr.write((json.dumps(failure) if arguments.json else error.message) + "\n")
        return 1
    sys.stdout.write((json.dumps(told) if arguments.json else arguments.words(told)) + "\n")
    return 0


def _start(arguments: argparse.Namespace) -> dict[str, Any]:
    if (arguments.address is None) == (not arguments.head):
        raise WorkerError("invalid_request", "Say either --head or the HOST:PORT of the head.")
    return node.start(
        node.Settings(
            head=arguments.address,
            slots=arguments.slots,
            ip=arguments.ip,
            port=arguments.port,
            worker_ports=arguments.worker_ports,
            token_file=arguments.token_file,
            block=arguments.block,
        )
    )


def _start_words(told: dict[str, Any]) -> str:
    ports = ", ".join(f"{name} {port}" for name, port in told["ports"].items())
    lines = [f"This machine is a node of {told['address']} with {told['slots']} slot(s).", f"Ports: {ports}.", _BETWEEN]
    if told["head"]:
        lines += [
            f"Copy {told['token_file']} to the same place on the other machines, and run there:",
            f"  asrpro cluster start {told['address']}",
        ]
    return "\n".join(lines)


def _stop(_: argparse.Namespace) -> dict[str, Any]:
    return {"ended": node.stop()}


def _status(arguments: argparse.Namespace) -> dict[str, Any]:
    address = arguments.address or node.known_address()
    if address is None:
        raise WorkerError("cluster_unreachable", "This machine is no node; say the head's address with --address.")
    if not os.environ.get("RAY_AUTH_MODE"):
        os.environ.update(node.environment_of(node.token(arguments.token_file, may_make=False)))
    # Ray reads the settings of the token when it is imported.
    from asrpro_worker.cluster.connect import Connection

    connection = Connection(address)
    try:
        return _seen(address)
    finally:
        connection.close()


def _seen(address: str) -> dict[str, Any]:
    import ray

    from asrpro_worker.cluster.book import nodes_of_cluster
    from asrpro_worker.cluster.order import BOOK, NAMESPACE

    try:
        state = ray.get(ray.get_actor(BOOK, namespace=NAMESPACE).state.remote(), timeout=20)
    except ValueError:
        state = None
    nodes = state.nodes if state else nodes_of_cluster()
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
            {"model": state.models[name], "wanted": state.wanted[name], "gateways": state.users[name]}
            for name in (state.wanted if state else ())
        ],
        "pieces_per_second": state.pieces_per_second if state else 0.0,
    }


def _status_words(told: dict[str, Any]) -> str:
    lines = [f"{told['address']}, Ray {told['ray']}, {told['pieces_per_second']:.2f} pieces a second"]
    for one in told["nodes"]:
        if one["alive"]:
            models = ", ".join(one["models"]) or "no model"
            lines.append(f"  {one['name']}: {one['slots']} slot(s), {one['replicas']} replica(s), {models}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asrpro cluster")
    commands = parser.add_subparsers(required=True)
    starts = commands.add_parser("start")
    starts.add_argument("address", nargs="?")
    starts.add_argument("--head", action="store_true")
    starts.add_argument("--slots", type=int)
    starts.add_argument("--ip")
    starts.add_argument("--port", type=int, default=node.PORT)
    starts.add_argument("--worker-ports", type=_ports, default=node.WORKER_PORTS)
    starts.add_argument("--block", action="store_true")
    starts.set_defaults(action=_start, words=_start_words)
    status = commands.add_parser("status")
    status.add_argument("--address")
    status.set_defaults(action=_status, words=_status_words)
    stops = commands.add_parser("stop")
    stops.set_defaults(action=_stop, words=lambda told: f"{told['ended']} processes ended.")
    for command in (starts, status):
        command.add_argument("--token-file", type=Path)
    for command in (starts, status, stops):
        command.add_argument("--json", action="store_true")
    return parser


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
