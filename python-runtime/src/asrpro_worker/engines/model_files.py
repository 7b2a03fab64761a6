"""Checks a model's files before an engine reads them.

Without these checks, an engine would try to download a missing file, report a wrong file without its name, and fail on
some kinds of damage only during the first request.
"""

from __future__ import annotations

import json
from pathlib import Path

from asrpro_worker.errors import WorkerError

_LFS_POINTER = b"version https://git-lfs"
_REMEDY = "Delete the model and download it again."


def broken(what: str, remedy: str = _REMEDY) -> WorkerError:
    """The error `model_broken`. `what` begins with the name of the file, without its directory."""
    return WorkerError("model_broken", f"The model is damaged: {what}. {remedy}")


def require_directory(path: str) -> Path:
    """The model's directory as a path. Raises `model_broken` if it does not exist."""
    directory = Path(path)
    if not directory.is_dir():
        raise broken("its directory is missing")
    return directory


def require_file(directory: Path, *names: str) -> Path:
    """The first of `names` that exists. Raises `model_broken` if none does, or if it is empty or a git-LFS pointer."""
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
    """The content of a JSON file. Raises `model_broken`."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise broken(f"{file.name} is not valid JSON") from error


def require_object(file: Path) -> dict[str, object]:
    """The content of a JSON file that must hold an object with at least one key. Raises `model_broken`."""
    content = require_json(file)
    if not isinstance(content, dict) or not content:
        raise broken(f"{file.name} contains no settings")
    return content
