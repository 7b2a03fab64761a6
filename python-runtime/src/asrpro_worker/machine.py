"""The cores and the memory that this process may use, including the limits of its container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

# A batch may use a quarter of the free memory.
_FREE_MEMORY_DIVISOR = 4
# Pieces in a batch per thread, and in total. Measured with whisper-base on two cores, relative to single pieces: four
# at once take 0.59 of the time, six take 0.56 for another 105 MB, eight take 0.53 for another 250 MB.
_PIECES_PER_THREAD = 2
_MAX_PIECES = 16
# With batches of 8 on an H200, NeMo's toy models took half the time of 16 CPU cores.
_PIECES_ON_GPU = 8
_CGROUPS = Path("/sys/fs/cgroup")


def thread_count(requested: int) -> int:
    """`requested`, or if it is 0 the physical cores that this process may use. Hyper-threads slow the engines down."""
    if requested:
        return requested
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed, cpu_limit() or allowed))


def batch_size(requested: int, threads: int, bytes_per_piece: int) -> int:
    """`requested`, or if it is 0 the pieces that keep the threads busy and fit into a quarter of the free memory."""
    fitting = available_bytes() // _FREE_MEMORY_DIVISOR // max(1, bytes_per_piece)
    return requested or max(1, min(_PIECES_PER_THREAD * threads, _MAX_PIECES, fitting))


def cuda_batch_size(requested: int, device: str) -> int:
    """`requested`, or if it is 0 the batch size of an engine that gains from batches on NVIDIA GPUs only."""
    return requested or (_PIECES_ON_GPU if device.startswith("cuda") else 1)


def has_fast_avx512(info: Path = Path("/proc/cpuinfo")) -> bool:
    """True if AVX-512 makes this processor faster. Processors before VNNI lower their clock for it."""
    try:
        flags = next(line.split() for line in info.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512_vnni"} <= set(flags)


def cpu_limit(root: Path = _CGROUPS) -> int | None:
    """The container's CPU quota in cores, rounded up; None without a quota."""
    limits = [_quota(*text.split()) for text in _settings(root, "cpu.max")]
    period = next(_settings(root / "cpu", "cpu.cfs_period_us"), "100000")
    limits += [_quota(text, period) for text in _settings(root / "cpu", "cpu.cfs_quota_us")]
    return min((limit for limit in limits if limit), default=None)


def available_bytes(root: Path = _CGROUPS) -> int:
    """Free memory of the machine or of the container, whichever is less."""
    free = int(psutil.virtual_memory().available)
    for folder, limit, used in (
        (root, "memory.max", "memory.current"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for total, in_use in zip(_settings(folder, limit), _settings(folder, used), strict=False):
            if total.isdecimal():
                free = min(free, max(0, int(total) - int(in_use)))
    return free


def _quota(quota: str, period: str = "100000") -> int | None:
    return -(-int(quota) // int(period)) if quota.isdecimal() else None


def _settings(root: Path, name: str) -> Iterator[str]:
    """The values of a setting in this process's control group and all groups above it; missing files are skipped."""
    for folder in _groups(root):
        try:
            yield (folder / name).read_text().strip()
        except OSError:
            continue


def _groups(root: Path) -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return [root]
    kind = root.name if root.name in ("cpu", "memory") else ""
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if kind in controllers.split(","):
            own = root / path.lstrip("/")
            return [own, *(folder for folder in own.parents if folder.is_relative_to(root))]
    return [root]
