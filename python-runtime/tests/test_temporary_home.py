"""Packages that create folders in the home directory when they are imported get another one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from asrpro_worker.engines.nemo.home import temporary_home


def test_the_home_directory_is_replaced_and_restored() -> None:
    home = Path.home()
    with temporary_home():
        assert Path.home() == Path(tempfile.gettempdir())
    assert Path.home() == home
