"""Copies a model's files to a node: in parts through Ray's object store, checked by sha256, once for each node."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

# Two parts are in a node's object store at a time, which has 200 MB.
PART = 8 * 1024 * 1024
_READ_BYTES = 1024 * 1024
# Free disk space to leave.
_SPARE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """`name` is relative to the model's directory, and "" for a model that is a single file."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Files:
    """All files of a model. `suffix` is that of a model that is a single file, such as `.nemo`, else ""."""

    files: tuple[File, ...]
    suffix: str

    @property
    def digest(self) -> str:
        """Digest of names and contents."""
        lines = "".join(f"{file.sha256} {file.size} {file.name}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


def describe(path: Path) -> Files:
    """Hash the files of a model. Raises `model_broken` if there are none."""
    if path.is_file():
        return Files((File("", path.stat().st_size, _sha256(path)),), path.suffix)
    found = sorted(file for file in path.rglob("*") if file.is_file())
    if not found:
        raise WorkerError("model_broken", "The model's directory is missing or empty. Download the model again.")
    files = (File(file.relative_to(path).as_posix(), file.stat().st_size, _sha256(file)) for file in found)
    return Files(tuple(files), "")


class Source:
    """An actor on the gateway's machine that serves the files of one model, and no other file."""

    def __init__(self, path: str, files: Files) -> None:
        self._path = Path(path)
        self._files = files

    def part(self, index: int, offset: int) -> bytes:
        """Up to PART bytes of file `index`, from `offset`."""
        name = self._files.files[index].name
        with (self._path / name if name else self._path).open("rb") as file:
            file.seek(offset)
            return file.read(PART)


def model_on_node(files: Files, data: Path, sources: Callable[[], list[Any]], copied: Callable[[int], None]) -> Path:
    """Path of the model on this node, copied from a source if it is not there yet.

    Replicas that load the same model at the same time wait for the first one: the kernel's file lock ends with its
    process, so a killed replica leaves no stale lock.
    """
    place = data / "models" / files.digest
    model = place / f"model{files.suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")):
        if place.is_dir():
            return model
        if shutil.disk_usage(place.parent).free < files.bytes + _SPARE_BYTES:
            what = f"A node of the cluster lacks disk space for the model, which needs {files.bytes // 1_000_000} MB."
            raise WorkerError("disk_full", what)
        partial = place.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        try:
            _copy(files, partial / model.name, sources, copied)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return model


def _copy(files: Files, model: Path, sources: Callable[[], list[Any]], copied: Callable[[int], None]) -> None:
    """Copy from one gateway; when it ends, the next one continues with the missing part."""
    done = 0
    for index, file in enumerate(files.files):
        target = model / file.name if file.name else model
        target.parent.mkdir(parents=True, exist_ok=True)
        hashed = hashlib.sha256()
        with target.open("wb") as out:
            for part in _parts(index, file.size, sources):
                hashed.update(part)
                out.write(part)
                done += len(part)
                copied(done)
            out.flush()
            os.fsync(out.fileno())
        if hashed.hexdigest() != file.sha256:
            name = file.name or "itself"
            what = f"The model's file {name} arrived at a node with a wrong checksum. Load the model again."
            raise WorkerError("model_load_failed", what)


def _parts(index: int, size: int, sources: Callable[[], list[Any]]) -> Iterator[bytes]:
    """Request the next part while the caller writes the current one."""
    offsets = list(range(0, size, PART))
    tried: list[Any] = []
    at = 0
    while at < len(offsets):
        source = next((one for one in sources() if one not in tried), None)
        if source is None:
            what = "All gateways that could send the model's files to a node have ended."
            raise WorkerError("model_load_failed", what)
        try:
            pending = source.part.remote(index, offsets[at])
            while at < len(offsets):
                part = ray.get(pending)
                at += 1
                pending = source.part.remote(index, offsets[at]) if at < len(offsets) else None
                yield part
        except ray.exceptions.RayActorError:
            log.warning("A gateway ended while a node copied a model from it")
            tried.append(source)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            hashed.update(part)
    return hashed.hexdigest()
