"""Fixtures for several tests: models, PCM files and worker processes."""

from __future__ import annotations

import importlib.util
import shutil
from typing import TYPE_CHECKING

import pytest
import toy_models
import toy_parakeets
from in_process import load
from media import Decoding
from real_whisper import BASE, WHISPER
from whisper_onnx import make_whisper_onnx
from worker_process import WorkerProcess

from asrpro_worker.pcm import Pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrpro_worker.engines.onnx.engine import OnnxAsr
    from asrpro_worker.engines.whisper.engine import Whisper

# Tests of engines that need their own environment.
collect_ignore = [
    folder
    for package, folder in (("nemo", "nemo_engine"), ("ray", "ray_engine"))
    if not importlib.util.find_spec(package)
]


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual toy Whisper. Tests must not change it."""
    return toy_models.make_whisper(tmp_path_factory.mktemp("models") / "whisper")


@pytest.fixture(scope="session")
def tdt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy Parakeet in ONNX format. Tests must not change it."""
    return toy_parakeets.make_parakeet(tmp_path_factory.mktemp("models") / "tdt")


@pytest.fixture(scope="session")
def tiny_whisper() -> Whisper:
    """The engine with the real weights of tiny.en. Tests must not change it."""
    from asrpro_worker.engines.whisper.engine import Whisper

    engine = Whisper()
    load(engine, WHISPER)
    return engine


@pytest.fixture(scope="session")
def base_onnx(tmp_path_factory: pytest.TempPathFactory) -> OnnxAsr:
    """Whisper base as ONNX, with real weights. Tests must not change it."""
    return load_onnx(make_whisper_onnx(BASE, tmp_path_factory.mktemp("models") / "base"))


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> OnnxAsr:
    """Whisper tiny.en as ONNX, with real weights. Tests must not change it."""
    return load_onnx(make_whisper_onnx(WHISPER, tmp_path_factory.mktemp("models") / "tiny.en"))


def load_onnx(directory: Path) -> OnnxAsr:
    from asrpro_worker.engines.onnx.engine import OnnxAsr

    engine = OnnxAsr()
    capabilities = load(engine, directory, quantization="quantized").capabilities
    assert (capabilities.prompt, capabilities.hotwords, capabilities.temperature) == (True, True, False)
    return engine


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A toy NeMo model of each kind, for tests in NeMo's environment. Tests must not change them."""
    from toy_nemo import KINDS, make_nemo

    directory = tmp_path_factory.mktemp("nemo")
    return {kind: make_nemo(directory / f"{kind}.nemo", kind) for kind in KINDS}


@pytest.fixture
def own_whisper(whisper: Path, tmp_path: Path) -> Path:
    """A copy of the toy Whisper that a test may damage."""
    return shutil.copytree(whisper, tmp_path / "whisper")


@pytest.fixture
def own_tdt(tdt: Path, tmp_path: Path) -> Path:
    """A copy of the toy Parakeet that a test may damage."""
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


@pytest.fixture(scope="session")
def decode_elsewhere() -> Iterator[Decoding]:
    """Decodes files in a process that all tests share."""
    decoding = Decoding()
    yield decoding
    decoding.close()


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    """A worker for faster-whisper that has sent `hello`."""
    with WorkerProcess() as process:
        process.until("hello")
        yield process


@pytest.fixture(scope="session")
def loaded_worker(whisper: Path) -> Iterator[WorkerProcess]:
    """A worker with the toy Whisper. Tests share it, so they must end their jobs and read all answers."""
    with WorkerProcess() as process:
        process.until("hello")
        assert process.load(whisper)["type"] == "loaded"
        yield process
