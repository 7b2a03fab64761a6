"""Reads a model's files into the page cache while the engine is imported."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def read_ahead(model: str) -> threading.Thread | None:
    """Ask the system to read a model file, or all files of a model directory, into the page cache; returns at once.

    Loading whisper-base takes 2.0 s with a cold cache and 0.6 s with a warm one; importing an engine takes over 0.3 s.
    Read errors are ignored here, because loading reports them. Returns None where the system has no `posix_fadvise`.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    thread = threading.Thread(target=_advise, args=(Path(model),), name="read-ahead", daemon=True)
    thread.start()
    return thread


def _advise(model: Path) -> None:
    try:
        for file in model.iterdir() if model.is_dir() else [model]:
            if not file.is_file():
                continue
            with file.open("rb") as content:
                os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    except OSError:
        return
