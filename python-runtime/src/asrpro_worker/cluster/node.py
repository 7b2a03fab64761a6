"""A machine becomes a node of the cluster, and ceases to be one: Ray's own command, with what a node of ours needs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from asrpro_worker.cluster.folders import cluster_data
from asrpro_worker.cluster.order import SLOT
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORT = 6379
WORKER_PORTS = (10002, 10999)
# Audio on its way to replicas, and models: a few batches of 8 MB.
OBJECT_STORE_BYTES = 200_000_000
# Inherited by every process of the node, so that its end is the end of those and of nobody else's.
_MARK = "ASRPRO_CLUSTER_NODE"
_TOKEN_BYTES = 32
_END = 10.0
_ROUNDS = 5


@dataclass(frozen=True)
class Settings:
    """`head`: HOST:PORT of the head, None to be it. `slots` None: one a GPU, else one. `ip` None: Ray chooses."""

    head: str | None
    slots: int | None
    ip: str | None
    port: int
    worker_ports: tuple[int, int]
    token_file: Path | None
    block: bool


def start(settings: Settings) -> dict[str, object]:
    """Start the node. Raises WorkerError with what Ray says; returns what people and programs need to know."""
    data = cluster_data()
    data.mkdir(parents=True, exist_ok=True)
    if any(True for _ in _processes()):
        raise WorkerError("invalid_request", "This machine is a node already; `asrpro cluster stop` ends it.")
    token_file = token(settings.token_file, may_make=settings.head is None)
    slots = slots_of_machine() if settings.slots is None else settings.slots
    ports = ports_of(settings)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *_flags(settings, slots, ports)]
    environment = {
        **os.environ,
        **environment_of(token_file),
        _MARK: str(data),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HUB_OFFLINE": "1",
    }
    if settings.block:
        print(json.dumps({"ports": ports, "slots": slots, "token_file": str(token_file)}), flush=True)  # noqa: T201
        os.execve(command[0], command, environment)  # noqa: S606 - the process is the node from here on
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - Ray's own
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise WorkerError("cluster_unreachable", f"Ray did not start: {lines[-1] if lines else 'it says nothing'}")
    address = settings.head or f"{settings.ip or _own_ip()}:{settings.port}"
    (data / "address").write_text(address)
    return {
        "address": address,
        "head": settings.head is None,
        "slots": slots,
        "ports": ports,
        "token_file": str(token_file),
    }


def stop() -> int:
    """End every process of this machine's node; how many there were. One that ends may just have started another."""
    ended = 0
    for _ in range(_ROUNDS):
        found = list(_processes())
        if not found:
            break
        for process in found:
            _quietly(process.terminate)
        _, alive = psutil.wait_procs(found, timeout=_END)
        for process in alive:
            _quietly(process.kill)
        psutil.wait_procs(alive, timeout=_END)
        ended += len(found)
    (cluster_data() / "address").unlink(missing_ok=True)
    return ended


def token(given: Path | None, *, may_make: bool) -> Path:
    """The file with the secret that all nodes and gateways share. The head makes one, for its owner only."""
    if given is None and (named := os.environ.get("RAY_AUTH_TOKEN_PATH")):
        given = Path(named)
    file = given or cluster_data() / "token"
    if file.is_file():
        return file
    if given is None and (value := os.environ.get("RAY_AUTH_TOKEN")):
        _write_secret(file, value)
        return file
    if not may_make:
        what = f"The cluster's token is missing: copy the file `cluster/token` of the head's machine to {file}."
        raise WorkerError("cluster_unreachable", what)
    _write_secret(file, secrets.token_hex(_TOKEN_BYTES))
    return file


def environment_of(token_file: Path) -> dict[str, str]:
    """What every process that has to do with the cluster is told."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def known_address() -> str | None:
    """Of the head, where this machine is a node."""
    try:
        return (cluster_data() / "address").read_text().strip()
    except OSError:
        return None


def slots_of_machine() -> int:
    """One for each NVIDIA GPU; without any one, because a replica uses all cores."""
    try:
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return 1
    return max(1, len(done.stdout.strip().splitlines()))


def ports_of(settings: Settings) -> dict[str, str]:
    """What must be open between the machines of a cluster, and to nobody else."""
    names = ("node_manager", "object_manager", "agent_grpc", "agent_http", "runtime_env", "metrics")
    ports = {name: str(settings.port + at) for at, name in enumerate(names, 1)}
    # Ray starts a server for its own kind of client beside every head; nobody here uses it.
    client = settings.port + len(names) + 1
    head = {"head": str(settings.port), "client": str(client)} if settings.head is None else {}
    return {**head, **ports, "workers": "{}-{}".format(*settings.worker_ports)}


def _flags(settings: Settings, slots: int, ports: dict[str, str]) -> Iterator[str]:
    if settings.head is None:
        yield from ("--head", "--port", str(settings.port), "--include-dashboard", "false")
        yield from ("--ray-client-server-port", ports["client"])
    else:
        yield from ("--address", settings.head)
    if settings.ip:
        yield from ("--node-ip-address", settings.ip)
    yield from ("--resources", json.dumps({SLOT: slots} if slots else {}))
    yield from ("--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats")
    yield from ("--node-manager-port", ports["node_manager"], "--object-manager-port", ports["object_manager"])
    yield from ("--dashboard-agent-grpc-port", ports["agent_grpc"])
    yield from ("--dashboard-agent-listen-port", ports["agent_http"])
    yield from ("--runtime-env-agent-port", ports["runtime_env"], "--metrics-export-port", ports["metrics"])
    first, last = settings.worker_ports
    yield from ("--min-worker-port", str(first), "--max-worker-port", str(last))
    if settings.block:
        yield "--block"


def _processes() -> Iterator[psutil.Process]:
    mark = str(cluster_data())
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                yield process
        except psutil.Error:
            continue


def _write_secret(file: Path, value: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(value)


def _quietly(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.Error):
        action()


def _own_ip() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
