"""Reads the versions of the relevant packages without importing them."""

from __future__ import annotations

import platform
from importlib import metadata

_PACKAGES = (
    "av",
    "ctranslate2",
    "faster-whisper",
    "mlx",
    "msgspec",
    "nemo-toolkit",
    "numpy",
    "onnx-asr",
    "onnxruntime",
    "onnxruntime-gpu",
    "psutil",
    "pyzmq",
    "torch",
)


def installed_versions() -> dict[str, str]:
    """Package name to version, including `python`. Packages that are not installed are absent."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
