"""What is to run on the cluster, and what is said of it."""

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
BOOK = "book"
# The custom resource of Ray that a replica takes one of.
SLOT = "asrpro_slot"


@dataclass(frozen=True)
class Order:
    """A model that is to run: `load` as the inner engine wants it, but for the path, which each node has its own of.

    `gpus`: of a replica. `origin`: the node that has the files where `load.model.path` says. `code`: of the gateway.
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
        """The same for all gateways that want the same."""
        load = self.load
        model = (load.model.id, load.model.quantization, load.model.languages, self.engine, self.files.digest)
        same = (*model, load.compute_type, load.device, load.threads, self.gpus, self.code)
        readable = re.sub(r"[^a-zA-Z0-9.-]+", "-", load.model.id)
        return f"{readable}-{hashlib.sha256(repr(same).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Beat:
    """What a replica says of itself every two seconds. `pids`: its own and the engine's. `facts` None: still loading.

    `phase` changes while it gets ahead: bytes copied, weights, warm-up.
    """

    application: str
    node: str
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
class State:
    """Of one application, or of all: what the book says."""

    nodes: list[Node]
    replicas: list[Beat]
    models: dict[str, str]
    wanted: dict[str, int]
    users: dict[str, int]
    pieces_per_second: float
    failures: dict[str, tuple[str, str]]


def code_digest() -> str:
    """Of the worker's own sources: what travels is understood by nobody else."""
    package = Path(__file__).parents[1]
    hashed = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        hashed.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()
