"""Reading ahead asks for every file and ignores errors, which loading reports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asrpro_worker.read_ahead import read_ahead

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_file_of_a_model_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    advices: list[int] = []
    # Not every system has these two.
    monkeypatch.setattr(os, "POSIX_FADV_WILLNEED", 3, raising=False)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _file, _start, _length, advice: advices.append(advice), raising=False
    )
    for model in (tmp_path, tmp_path / "model.bin", tmp_path / "absent"):
        thread = read_ahead(str(model))
        assert thread is not None
        thread.join(30)
        assert not thread.is_alive()
    assert advices == [3] * 3
