"""A temporary home directory for packages that create folders in it when they are imported."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def temporary_home() -> Iterator[None]:
    """Within the context, the temporary directory is the user's home."""
    variable = "USERPROFILE" if sys.platform == "win32" else "HOME"
    home = os.environ.get(variable)
    os.environ[variable] = tempfile.gettempdir()
    try:
        yield
    finally:
        del os.environ[variable]
        if home is not None:
            os.environ[variable] = home
