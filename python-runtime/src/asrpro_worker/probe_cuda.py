"""A script that prints the GPUs of the NVIDIA driver as one JSON object. It needs no packages and at most a second.

It creates no context on the device. A listed GPU may still be unusable for an engine; only an inference shows that.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NAME_BYTES = 100
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")


def _open(library: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


def _devices(driver: ctypes.CDLL) -> tuple[list[dict[str, object]], str | None]:
    """The devices, and the reason if there are none."""
    if (code := driver.cuInit(0)) != 0:
        return [], f"The NVIDIA driver cannot be initialized (CUDA error {code})."
    count = ctypes.c_int()
    if (code := driver.cuDeviceGetCount(ctypes.byref(count))) != 0 or count.value == 0:
        return [], "The NVIDIA driver sees no GPU."
    found: list[dict[str, object]] = []
    for index in range(count.value):
        device = ctypes.c_int()
        name = ctypes.create_string_buffer(_NAME_BYTES)
        memory = ctypes.c_size_t()
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, _NAME_BYTES, device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        found.append({"index": index, "name": name.value.decode(errors="replace"), "memory_bytes": memory.value})
    return found, None


def _version(driver: ctypes.CDLL) -> str:
    """A text that changes with every driver update: the CUDA version, plus the driver's version or its file's date."""
    cuda = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(cuda))
    windows = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", _DRIVER)
    try:
        text = str(windows.stat().st_mtime) if sys.platform == "win32" else _KERNEL_MODULE.read_text().splitlines()[0]
    except OSError:
        text = ""
    return f"{cuda.value} {text}".strip()


def main() -> None:
    """Print `{"devices": [...], "driver": str | null, "reason": str | null}`."""
    driver = _open(_DRIVER)
    devices, reason = _devices(driver) if driver else ([], "No NVIDIA driver was found.")
    version = _version(driver) if driver and devices else None
    print(json.dumps({"devices": devices, "driver": version, "reason": reason}))  # noqa: T201


if __name__ == "__main__":
    main()
