"""Which model the cluster runs, and what its parts report about it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrpro_worker.cluster.model_files import Files
    from asrpro_worker.engines.protocol import Facts
    from asrpro_worker.messages import Load, Replicas

NAMESPACE = "asrpro"
COORDINATOR = "coordinator"
# The custom resource of Ray; each replica takes one.
SLOT = "asrpro_slot"


@dataclass(frozen=True)
class ModelSpec:
    """A model to run: `load` is the request for the replica's engine, except that each node has its own model path.

    `gpus` is per replica. `origin` is the node on which `load.model.path` exists. `code` is the gateway's code digest.
    """

    engine: str
    load: Load
    files: Files
    replicas: int | Replicas | None
    gpus: int
    origin: str
    code: str

    @property
    def name(self) -> str:
        """Name of the application: the same for all gateways that load the same model in the same way."""
        load = self.load
        model = (load.model.id, load.model.quantization, load.model.languages, self.engine, self.files.digest)
        same = (*model, load.compute_type, load.device, load.threads, self.gpus, self.code)
        readable = re.sub(r"[^a-zA-Z0-9.-]+", "-", load.model.id)
        return f"{readable}-{hashlib.sha256(repr(same).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Heartbeat:
    """What a replica reports every two seconds. `pids` are its own and its engine's; `facts` is None while it loads.

    The replica's process listens at `address` until it ends. `phase` changes while loading makes progress: bytes
    copied, weights, warm-up.
    """

    application: str
    node: str
    address: tuple[str, int]
    pids: tuple[int, ...]
    memory_bytes: int
    pieces: int
    phase: str
    facts: Facts | None


@dataclass(frozen=True)
class Node:
    """A machine, as Ray knows it."""

    id: str
    name: str
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: int
    slots: int


@dataclass(frozen=True)
class ClusterState:
    """What the coordinator knows about one application, or about all of them."""

    nodes: list[Node]
    replicas: list[Heartbeat]
    models: dict[str, str]
    target_replicas: dict[str, int]
    users: dict[str, int]
    pieces_per_second: float
    failures: dict[str, tuple[str, str]]


def code_digest() -> str:
    """Digest of the worker's sources: gateway and replicas exchange pickles, so both must run the same code."""
    package = Path(__file__).parents[1]
    hashed = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        hashed.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()
