"""Memory that the allocator keeps for reuse is returned to the system."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from worker_process import SOURCE

_PROGRAM = """
import json
from asrpro_worker.memory import resident_bytes, return_unused
blocks = [bytearray(64 * 1024) for _ in range(2000)]
# The last block lies above all others, so the heap cannot shrink by itself.
last, blocks = blocks[-1], None
kept = resident_bytes()
return_unused()
print(json.dumps([kept, resident_bytes()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps freed memory")
def test_freed_memory_is_returned() -> None:
    # The settings with which the gateway starts a worker.
    keep = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "6000000", "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}
    environment = {**os.environ, **keep, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, check=True, timeout=60
    )
    kept, rest = json.loads(done.stdout)
    assert kept - rest > 100e6
