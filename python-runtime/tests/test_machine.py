"""Container limits for cores and memory, and batch sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asrpro_worker import machine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("folder", "files", "cores"),
    [
        ("", {}, None),
        ("", {"cpu.max": "max 100000"}, None),
        ("", {"cpu.max": "150000 100000"}, 2),
        ("", {"cpu.max": "200000 100000"}, 2),
        ("cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ("cpu", {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_cores_of_a_container(tmp_path: Path, folder: str, files: dict[str, str], cores: int | None) -> None:
    place(tmp_path / folder, files)
    assert machine.cpu_limit(tmp_path) == cores


@pytest.mark.parametrize(
    ("folder", "files", "free"),
    [
        ("", {"memory.max": "1000000", "memory.current": "400000"}, 600_000),
        ("", {"memory.max": "1000", "memory.current": "4000"}, 0),
        ("memory", {"memory.limit_in_bytes": "1000000", "memory.usage_in_bytes": "1"}, 999_999),
    ],
)
def test_memory_of_a_container(tmp_path: Path, folder: str, files: dict[str, str], free: int) -> None:
    place(tmp_path / folder, files)
    assert machine.available_bytes(tmp_path) == free


def test_without_a_limit_the_memory_of_the_machine_counts(tmp_path: Path) -> None:
    place(tmp_path, {"memory.max": "max", "memory.current": "1"})
    assert machine.available_bytes(tmp_path) > 1_000_000


@pytest.mark.parametrize(
    ("requested", "threads", "megabytes", "pieces"),
    [(0, 2, 1, 4), (0, 1, 1, 2), (0, 64, 1, 16), (0, 8, 1_000_000, 1), (5, 1, 1_000_000, 5)],
)
def test_pieces_in_a_batch(requested: int, threads: int, megabytes: int, pieces: int) -> None:
    assert machine.batch_size(requested, threads, megabytes * 10**6) == pieces


def place(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("requested", "device", "pieces"), [(0, "cpu", 1), (0, "mps", 1), (0, "cuda:1", 8), (3, "cuda:0", 3)]
)
def test_pieces_of_an_engine_that_gains_from_batches_on_cuda_only(requested: int, device: str, pieces: int) -> None:
    assert machine.cuda_batch_size(requested, device) == pieces
