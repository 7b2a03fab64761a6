"""What this process may use of the machine: cores and memory, the limits of its container included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

# Batches may take this part of the memory that is free.
_SHARE_OF_FREE_MEMORY = 4
# Pieces in a batch for each thread, and at most. Measured with whisper-base on two cores, beside one piece after the
# other: four at once take 0.59 of the time, six 0.56 for 105 MB more, eight 0.53 for 250 MB more.
_PIECES_PER_THREAD = 2
_MOST_PIECES = 16
# NeMo's toy models took half the time of 16 cores with so many.
_PIECES_ON_GPU = 8
_CGROUPS = Path("/sys/fs/cgroup")


def thread_count(asked: int) -> int:
    """`asked`, or for 0 one for each physical core that this process may use (hyper-threads slow the engines down)."""
    if asked:
        return asked
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed, cpu_limit() or allowed))


def batch_size(asked: int, threads: int, bytes_per_piece: int) -> int:
    """`asked`, or for 0 as many pieces as are of use to the threads and fit into a share of the free memory."""
    room = available_bytes() // _SHARE_OF_FREE_MEMORY // max(1, bytes_per_piece)
    return asked or max(1, min(_PIECES_PER_THREAD * threads, _MOST_PIECES, room))


def few_pieces(asked: int, device: str) -> int:
    """`asked`, or for 0 what suits engines that gain from a batch on a GPU only."""
    return asked or (_PIECES_ON_GPU if device.startswith("cuda") else 1)


def has_fast_avx512(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Is this a processor on which AVX-512 pays? Those before VNNI lower their clock for it."""
    try:
        flags = next(line.split() for line in info.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512_vnni"} <= set(flags)


def cpu_limit(root: Path = _CGROUPS) -> int | None:
    """Cores that the container's quota is worth, rounded up; None without a quota."""
    limits = [_quota(*text.split()) for text in _settings(root, "cpu.max")]
    period = next(_settings(root / "cpu", "cpu.cfs_period_us"), "100000")
    limits += [_quota(text, period) for text in _settings(root / "cpu", "cpu.cfs_quota_us")]
    return min((limit for limit in limits if limit), default=None)


def available_bytes(root: Path = _CGROUPS) -> int:
    """Memory that can still be taken: the machine's, or less where the container has less."""
    free = int(psutil.virtual_memory().available)
    for folder, limit, used in (
        (root, "memory.max", "memory.current"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for most, taken in zip(_settings(folder, limit), _settings(folder, used), strict=False):
            if most.isdecimal():
                free = min(free, max(0, int(most) - int(taken)))
    return free


def _quota(quota: str, period: str = "100000") -> int | None:
    return -(-int(quota) // int(period)) if quota.isdecimal() else None


def _settings(root: Path, name: str) -> Iterator[str]:
    """A setting of this process's control groups, from its own up to the root; what is not there is left out."""
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
