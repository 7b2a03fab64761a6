"""How many threads a CPU engine gets, and how many jobs share them."""

from __future__ import annotations

import os

import psutil

# From so many threads a job on, more are hardly of use to it.
_ENOUGH_THREADS = 4
# Jobs that run side by side on a GPU. Measured on an H200 with whisper-base in float16: eight short files at once take
# 0.95 s one after the other, 0.79 s by two and 0.55 s by four; each job at work needs some 100 MB of the GPU's memory,
# and several times that for the large models, of which a second one must fit into a common card.
JOBS_ON_GPU = 2


def thread_count(asked: int) -> int:
    """`asked`, or for 0 one for each physical core that this process may use (hyper-threads slow the engines down)."""
    if asked:
        return asked
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def job_count(asked: int, threads: int) -> int:
    """Jobs that run side by side on `threads`: `asked`, or for 0 two, and more where each still has four threads.

    Measured on two cores only, where two jobs at once take 0.5 to 0.6 of the time of one after the other.
    Each job at work needs memory of its own, so there are never more than four by this rule.
    """
    return min(asked or max(2, min(4, threads // _ENOUGH_THREADS)), threads)


def threads_alone(threads: int, jobs: int) -> int:
    """Threads of a job alone where `jobs` may run side by side: all for one or two, else twice its share.

    The stretches of a long file have as many each, side by side: more would be in each other's way.
    """
    return max(1, min(threads, 2 * threads // jobs))
