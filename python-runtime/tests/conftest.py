"""Models and workers that several tests use."""

from __future__ import annotations

import importlib.util
import shutil
from typing import TYPE_CHECKING

import pytest
import toy_models
from worker_process import WorkerProcess

from asrpro_worker.pcm import Pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Tests of an engine that lives in an environment of its own.
collect_ignore = [
    folder
    for package, folder in (("nemo", "nemo_engine"), ("ray", "ray_engine"))
    if not importlib.util.find_spec(package)
]


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual toy Whisper; not to be changed."""
    return toy_models.make_whisper(tmp_path_factory.mktemp("models") / "whisper")


@pytest.fixture(scope="session")
def tdt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy Parakeet in ONNX form; not to be changed."""
    return toy_models.make_tdt(tmp_path_factory.mktemp("models") / "tdt")


@pytest.fixture
def own_whisper(whisper: Path, tmp_path: Path) -> Path:
    """A toy Whisper to damage."""
    return shutil.copytree(whisper, tmp_path / "whisper")


@pytest.fixture
def own_tdt(tdt: Path, tmp_path: Path) -> Path:
    """A toy Parakeet to damage."""
    return shutil.copytree(tdt, tmp_path / "tdt")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A directory for uploads."""
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


@pytest.fixture
def pcm(tmp_path: Path) -> Iterator[Pcm]:
    """An empty PCM file."""
    with Pcm(tmp_path) as file:
        yield file


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    """A worker for faster-whisper that has said hello."""
    with WorkerProcess() as process:
        process.until("hello")
        yield process
