"""Looks at a model's files before an engine does.

The engines answer a missing file with a download from the network, a wrong one with an error that names nothing, and
some damage only in the middle of the first request.
"""

from __future__ import annotations

import json
from pathlib import Path

from asrpro_worker.errors import WorkerError

_LFS_POINTER = b"version https://git-lfs"
_REMEDY = "Delete the model and download it again."


def broken(what: str, remedy: str = _REMEDY) -> WorkerError:
    """`model_broken`; `what` begins with the name of the file, without its directory."""
    return WorkerError("model_broken", f"The model is damaged: {what}. {remedy}")


def require_directory(path: str) -> Path:
    """The model's directory."""
    directory = Path(path)
    if not directory.is_dir():
        raise broken("its directory is missing")
    return directory


def require_file(directory: Path, *names: str) -> Path:
    """The first of `names` that is there; it must hold something, and be more than a git-LFS pointer."""
    for name in names:
        file = directory / name
        if not file.is_file():
            continue
        if file.stat().st_size == 0:
            raise broken(f"{name} is empty")
        with file.open("rb") as content:
            if content.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise broken(f"{name} is a git-LFS pointer, not the file itself")
        return file
    raise broken(f"{' or '.join(names)} is missing")


def require_json(file: Path) -> object:
    """The content of a JSON file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise broken(f"{file.name} is not valid JSON") from error


def require_object(file: Path) -> dict[str, object]:
    """The content of a JSON file that holds an object with at least one key."""
    content = require_json(file)
    if not isinstance(content, dict) or not content:
        raise broken(f"{file.name} holds no settings")
    return content
