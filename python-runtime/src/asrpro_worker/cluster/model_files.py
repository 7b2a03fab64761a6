"""A model's files on their way to a node: in parts through Ray's object store, checked, and there once."""

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

# Two of them are in a node's object store at a time, which has 200 MB.
PART = 8 * 1024 * 1024
_READ = 1024 * 1024
# Left free on the disk.
_SPARE = 256 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """`name` relative to the model's directory, "" for a model that is one file."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Files:
    """All files of a model. `suffix` of one that is a file, such as `.nemo`."""

    files: tuple[File, ...]
    suffix: str

    @property
    def digest(self) -> str:
        """The same for the same content."""
        lines = "".join(f"{file.sha256} {file.size} {file.name}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """In all."""
        return sum(file.size for file in self.files)


def describe(path: Path) -> Files:
    """Read and hash what is there. Raises `model_broken` where nothing is."""
    if path.is_file():
        return Files((File("", path.stat().st_size, _sha256(path)),), path.suffix)
    found = sorted(file for file in path.rglob("*") if file.is_file())
    if not found:
        raise WorkerError("model_broken", "The model's directory is missing or empty. Download the model again.")
    files = (File(file.relative_to(path).as_posix(), file.stat().st_size, _sha256(file)) for file in found)
    return Files(tuple(files), "")


class Source:
    """An actor on the node that has the files: gives a part of one, and nothing that is not the model's."""

    def __init__(self, path: str, files: Files) -> None:
        self._path = Path(path)
        self._files = files

    def part(self, index: int, offset: int) -> bytes:
        """Up to PART bytes of the file number `index`."""
        name = self._files.files[index].name
        with (self._path / name if name else self._path).open("rb") as file:
            file.seek(offset)
            return file.read(PART)


def model_on_node(files: Files, data: Path, sources: Callable[[], list[Any]], got: Callable[[int], None]) -> Path:
    """Where this node has the model; copied from a source, unless it is there.

    Replicas that want the same at once wait for the first: the lock is the kernel's, and ends with its process.
    """
    place = data / "models" / files.digest
    model = place / f"model{files.suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")):
        if place.is_dir():
            return model
        if shutil.disk_usage(place.parent).free < files.bytes + _SPARE:
            what = f"A node of the cluster has no room for the model, which needs {files.bytes // 1_000_000} MB."
            raise WorkerError("disk_full", what)
        partial = place.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        try:
            _copy(files, partial / model.name, sources, got)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return model


def _copy(files: Files, model: Path, sources: Callable[[], list[Any]], got: Callable[[int], None]) -> None:
    """From the first gateway that still has them; a part that one does not give is asked of the next."""
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
                got(done)
            out.flush()
            os.fsync(out.fileno())
        if hashed.hexdigest() != file.sha256:
            what = f"The model's file {file.name or 'itself'} changed on its way to a node. Load the model again."
            raise WorkerError("model_load_failed", what)


def _parts(index: int, size: int, sources: Callable[[], list[Any]]) -> Iterator[bytes]:
    """The next part is on its way while one is written."""
    offsets = list(range(0, size, PART))
    tried: list[Any] = []
    at = 0
    while at < len(offsets):
        source = next((one for one in sources() if one not in tried), None)
        if source is None:
            raise WorkerError("model_load_failed", "No gateway that has the model's files is left to copy them from.")
        try:
            coming = source.part.remote(index, offsets[at])
            while at < len(offsets):
                part = ray.get(coming)
                at += 1
                coming = source.part.remote(index, offsets[at]) if at < len(offsets) else None
                yield part
        except ray.exceptions.RayActorError:
            log.warning("A gateway that gave a model's files has gone")
            tried.append(source)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ):
            hashed.update(part)
    return hashed.hexdigest()
