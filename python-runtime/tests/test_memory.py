"""Memory that the allocator keeps for reuse is returned to the system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


# The settings with which the gateway starts a worker.
_KEEP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "2000000",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_PARTIAL = Path("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/nr_anon_partially_mapped")

_HOLES = """
import sys
from pathlib import Path
from asrpro_worker.memory import return_unused
blocks = [bytearray(64 * 1024) for _ in range(10_000)]
del blocks[::2]
before = int(Path(sys.argv[1]).read_text())
return_unused()
print(int(Path(sys.argv[1]).read_text()) - before)
"""


def run(program: str, *arguments: str) -> str:
    environment = {**os.environ, **_KEEP, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60, text=True).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps freed memory")
def test_freed_memory_is_returned() -> None:
    kept, rest = json.loads(run(_PROGRAM))
    assert kept - rest > 100e6


@pytest.mark.skipif(not _PARTIAL.exists(), reason="older kernels do not count such pages")
def test_huge_pages_that_are_returned_in_part_are_free_for_others() -> None:
    # 625 MB have 312 huge pages. The number is that of the whole machine.
    assert int(run(_HOLES, str(_PARTIAL))) < 100
