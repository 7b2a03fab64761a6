"""Checks a `.nemo` file, a tar with configuration, weights and tokenizer, and explains load errors."""

from __future__ import annotations

import errno
import re
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import yaml

from asrpro_worker.engines.model_files import broken, require_file
from asrpro_worker.errors import WorkerError, known_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG = "model_config.yaml"
_WEIGHTS = "model_weights.ckpt"
# `target` is the class that saved the file. Only speech recognition with CTC, RNNT or TDT is supported.
_TARGET = re.compile(r"nemo\.collections\.asr\.models\..*\.(EncDec(CTC|RNNT|HybridRNNTCTC)\w*Model\w*)")
# NeMo instantiates the classes that the configuration names, so only classes of these packages are allowed.
_TRUSTED_PACKAGES = ("nemo.", "torch.")


def check_checkpoint(path: Path) -> Path:
    """The checked checkpoint: `path` itself, or the only one in that directory. Raises `model_broken`.

    Only headers and configuration are read, which takes milliseconds for a file of 2.4 GB.
    """
    file = _find(path)
    require_file(file.parent, file.name)
    try:
        with tarfile.open(file) as archive:
            _check_members(file, archive)
            _check_config(file, archive)
            _check_weights(file, archive)
    except (tarfile.TarError, EOFError, zipfile.BadZipFile) as error:
        raise broken(f"{file.name} is not a complete NeMo checkpoint") from error
    return file


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise broken("its file is missing")
    found = sorted(path.glob("*.nemo"))
    if len(found) != 1:
        raise broken("its directory has no .nemo file" if not found else "its directory has more than one .nemo file")
    return found[0]


def _check_members(file: Path, archive: tarfile.TarFile) -> None:
    """Check that no member ends after the end of the file. Compressed files are skipped: they would be unpacked."""
    if not archive.fileobj or getattr(archive.fileobj, "name", None) is None or _is_compressed(file):
        return
    size = file.stat().st_size
    for member in archive.getmembers():
        if member.offset_data + member.size > size:
            raise broken(f"{file.name} is incomplete")


def _is_compressed(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(2) == b"\x1f\x8b"


def _check_config(file: Path, archive: tarfile.TarFile) -> None:
    content = archive.extractfile(_member(file, archive, _CONFIG))
    try:
        config = yaml.safe_load(content.read() if content else b"")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise broken(f"{_CONFIG} in {file.name} is not valid YAML") from error
    target = config.get("target") if isinstance(config, dict) else None
    if not isinstance(target, str):
        raise broken(f"{_CONFIG} in {file.name} does not name the class of the model")
    if not _TARGET.fullmatch(target):
        kind = target.rpartition(".")[2]
        raise broken(f"{file.name} holds a model of the kind {kind}", "Choose a model for speech recognition.")
    if part := next((name for name in _parts(config) if not name.startswith(_TRUSTED_PACKAGES)), None):
        raise broken(f"{_CONFIG} in {file.name} names a class outside of NeMo and PyTorch ({part})")


def _check_weights(file: Path, archive: tarfile.TarFile) -> None:
    """Check that the weights are a zip archive, whose table of contents is at its end."""
    content = archive.extractfile(_member(file, archive, _WEIGHTS))
    if content is None or _is_compressed(file):
        return
    if not zipfile.is_zipfile(content):
        raise broken(f"{_WEIGHTS} in {file.name} is damaged")


def _member(file: Path, archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    for spelled in (name, f"./{name}"):
        try:
            return archive.getmember(spelled)
        except KeyError:
            continue
    raise broken(f"{name} is missing in {file.name}")


def _parts(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(target := config.get("_target_"), str):
            yield target
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _parts(value)


def load_error(error: Exception, file: Path) -> WorkerError:
    """The answer for an error of NeMo or PyTorch, for a file that passed the checks."""
    if known := known_error(error):
        return known
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        size = file.stat().st_size / 1e9
        message = f"The temporary directory has no space to unpack the model ({size:.1f} GB)."
        return WorkerError("disk_full", message)
    text = str(error)
    if "CUDA" in text or "MPS" in text:
        return WorkerError("device_unavailable", "The GPU cannot be used by PyTorch. Choose the device 'cpu'.")
    if "state_dict" in text or "PytorchStreamReader" in text or "unpickl" in text.lower():
        return broken(f"{_WEIGHTS} in {file.name} does not fit its configuration")
    return broken(f"{file.name} cannot be loaded ({type(error).__name__})")
