"""Makes this machine a node of a cluster: Ray's own command with the settings that asrpro needs."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asrpro_worker.cluster.folders import cluster_data
from asrpro_worker.cluster.node_processes import end_node_processes, is_node_running, marked_environment
from asrpro_worker.cluster.spec import SLOT
from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 6379
WORKER_PORTS = (10002, 10999)
# Room for a few batches of 8 MB, and for parts of models that are being copied.
OBJECT_STORE_BYTES = 200_000_000
_TOKEN_BYTES = 32
# How Ray's command reports an error: as a record of its logger, or as a traceback that ends with the exception.
_RECORD = re.compile(r"\t(?:ERR|ERROR|PANIC)\s+\S+ -- (.+)")
_EXCEPTION = re.compile(r"^[\w.]*(?:Error|Exception)\w*: (.+)")
_NODE_IP = re.compile(r"Local node IP: ([\da-fA-F.:]+)")
# A line of Ray's C++ log, which may follow the traceback.
_LOG_LINE = re.compile(r"^\[?\d{4}-\d\d-\d\d |^\(\w+ pid=\d+\)")


@dataclass(frozen=True)
class Settings:
    """`head` is HOST:PORT, or None to start the head. `slots` None: one per GPU, else one. `ip` None: found by Ray."""

    head: str | None
    slots: int | None
    ip: str | None
    port: int
    worker_ports: tuple[int, int]


def start(settings: Settings) -> dict[str, object]:
    """Start the node and return its address, slots, ports and token file. Raises WorkerError with Ray's reason."""
    data = cluster_data()
    data.mkdir(parents=True, exist_ok=True)
    _check_ip(settings.ip)
    if is_node_running():
        raise WorkerError("invalid_request", "This machine is already a node; `asrpro cluster stop` ends it.")
    # Those of a node that died.
    end_node_processes()
    token = token_file(may_create=settings.head is None)
    slots = slots_of_machine() if settings.slots is None else settings.slots
    ports = ports_of(settings)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *_flags(settings, slots, ports)]
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_START_HOOK": "asrpro_worker.cluster.start_hook.without_unused_processes",
        **marked_environment(),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        # Ray does not end the processes that it had started before it failed.
        end_node_processes()
        raise WorkerError("cluster_unreachable", f"Ray did not start: {failure_reason(done.stdout, done.stderr)}")
    return {
        "address": settings.head or f"{settings.ip or _own_ip(done.stdout)}:{settings.port}",
        "head": settings.head is None,
        "slots": slots,
        "ports": ports,
        "token_file": str(token),
    }


def failure_reason(stdout: str, stderr: str) -> str:
    """The error in the output of `ray start`. It is rarely the last line: log lines follow it, and stdout has hints."""
    lines = [line for line in (stdout + "\n" + stderr).splitlines() if line.strip()]
    for at in reversed(range(len(lines))):
        if record := _RECORD.search(lines[at]):
            return record[1].strip()
        if exception := _EXCEPTION.match(lines[at]):
            more = [line.strip() for line in lines[at + 1 :] if not _LOG_LINE.match(line)]
            return " ".join([exception[1].strip(), *more])
    return lines[-1].strip() if lines else "it printed no error"


def token_file(*, may_create: bool) -> Path:
    """The file with the secret that all nodes and gateways share. The head creates one, readable by its owner only."""
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(given) if given else cluster_data() / "token"
    if not given and (value := os.environ.get("RAY_AUTH_TOKEN")):
        # Also over an older file: gateways use the configured token, so the node must not use another one.
        _write_secret(file, value)
        return file
    if file.is_file():
        return file
    if not may_create:
        what = f"The cluster's token is missing: copy `cluster/token` from the head's data directory to {file}."
        raise WorkerError("cluster_unreachable", what)
    _write_secret(file, secrets.token_hex(_TOKEN_BYTES))
    return file


def slots_of_machine() -> int:
    """One slot for each NVIDIA GPU. Without a GPU it is one, because a replica uses all cores."""
    try:
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return 1
    return max(1, len(done.stdout.strip().splitlines()))


def ports_of(settings: Settings) -> dict[str, str]:
    """The ports to open between the machines of the cluster, by name."""
    names = ("node_manager", "object_manager", "agent_grpc", "agent_http", "runtime_env", "metrics")
    ports = {name: str(settings.port + at) for at, name in enumerate(names, 1)}
    head = {"head": str(settings.port)} if settings.head is None else {}
    return {**head, **ports, "workers": "{}-{}".format(*settings.worker_ports)}


def _check_ip(ip: str | None) -> None:
    """Refuse loopback: Ray would replace it by another address of the machine, and be reachable from outside."""
    if ip is None:
        return
    try:
        loopback = ipaddress.ip_address(ip).is_loopback
    except ValueError:
        raise WorkerError("invalid_request", f"--ip takes an IP address, and '{ip}' is none.") from None
    if loopback:
        what = f"--ip {ip} is a loopback address; give the address at which other machines reach this one."
        raise WorkerError("invalid_request", what)


def _flags(settings: Settings, slots: int, ports: dict[str, str]) -> Iterator[str]:
    if settings.head is None:
        # The monitor is for Ray's autoscaler of machines, which is not used.
        yield from ("--head", "--port", str(settings.port), "--include-dashboard", "false", "--no-monitor")
    else:
        yield from ("--address", settings.head)
    if settings.ip:
        yield from ("--node-ip-address", settings.ip)
    yield from ("--resources", json.dumps({SLOT: slots} if slots else {}))
    yield from ("--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats")
    # The log monitor sends the logs of replicas to the gateways, which do not read them.
    yield from ("--include-log-monitor", "false")
    yield from ("--node-manager-port", ports["node_manager"], "--object-manager-port", ports["object_manager"])
    yield from ("--dashboard-agent-grpc-port", ports["agent_grpc"])
    yield from ("--dashboard-agent-listen-port", ports["agent_http"])
    yield from ("--runtime-env-agent-port", ports["runtime_env"], "--metrics-export-port", ports["metrics"])
    first, last = settings.worker_ports
    yield from ("--min-worker-port", str(first), "--max-worker-port", str(last))


def _write_secret(file: Path, value: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(value)


def _own_ip(stdout: str) -> str:
    """The address that `ray start` has chosen and printed."""
    if printed := _NODE_IP.search(stdout):
        return printed[1]
    import ray

    return str(ray.util.get_node_ip_address())
