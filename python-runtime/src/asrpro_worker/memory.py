"""What this process holds of the machine's memory."""

from __future__ import annotations

import psutil


def resident_bytes() -> int:
    """Resident set size, the number that `/proc/PID/status` calls VmRSS."""
    return int(psutil.Process().memory_info().rss)
