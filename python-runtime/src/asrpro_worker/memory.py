"""The memory that this process holds."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import psutil

# From Linux's mman.h, since 5.4; older kernels refuse it and keep these pages until they run out of memory.
_MADV_COLD = 20


def resident_bytes() -> int:
    """Resident set size in bytes, VmRSS in `/proc/PID/status`."""
    return int(psutil.Process().memory_info().rss)


def return_unused() -> None:
    """Return the memory that glibc's allocator keeps for reuse; does nothing on other systems.

    The gateway configures the allocator to keep most freed memory, which makes the next request faster. Memory that was
    needed once, to load a model or for a long file, may stay unused for hours. After this call an idle whisper-base
    holds 200 MB instead of 376 MB. The call takes 20 ms, and the next request takes 10 to 60 ms longer.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    trim = getattr(libc, "malloc_trim", None)
    if trim is None:
        return
    trim(0)
    # Linux frees a huge page when all of it was returned. This advice makes it split those that were returned in part.
    # Without it, the system gained 188 MB at an unload although the worker had only 156 MB of resident memory.
    for start, stop in _heap():
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _MADV_COLD)


def _heap() -> list[tuple[int, int]]:
    """The address ranges of the heap."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [line.split(maxsplit=1)[0].split("-") for line in lines if line.endswith("[heap]")]
    return [(int(start, 16), int(stop, 16)) for start, stop in ranges]
