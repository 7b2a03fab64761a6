"""The memory that this process holds."""

from __future__ import annotations

import ctypes
import sys

import psutil


def resident_bytes() -> int:
    """Resident set size in bytes, VmRSS in `/proc/PID/status`."""
    return int(psutil.Process().memory_info().rss)


def return_unused() -> None:
    """Return the memory that glibc's allocator keeps for reuse; does nothing on other systems.

    The gateway configures the allocator to keep all freed memory, which makes the next request faster. Memory that was
    needed once, to load a model or for a long file, may stay unused for hours. After this call an idle whisper-base
    holds 200 MB instead of 376 MB. The call takes 20 ms, and the next request takes 10 to 60 ms longer.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
