"""Weights on their way from the disk while the engine is still being imported."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def read_ahead(model: str) -> threading.Thread | None:
    """Ask the system to read a model's file or the files of its directory into its cache; returns at once.

    A cold load of whisper-base took 2.0 s instead of 0.6 s, and an import takes 0.3 s and more. Nothing is said about
    what cannot be read: loading says it better. None where the system takes no such advice.
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
