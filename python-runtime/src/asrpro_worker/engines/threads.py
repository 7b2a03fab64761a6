"""How many threads a CPU engine gets."""

from __future__ import annotations

import os

import psutil


def thread_count(asked: int) -> int:
    """`asked`, or for 0 one for each physical core that this process may use (hyper-threads slow the engines down)."""
    if asked:
        return asked
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
