"""Where a node keeps what is its own."""

from __future__ import annotations

import os
from pathlib import Path


def node_data() -> Path:
    """The data directory of asrpro on this machine, as src/config/paths.ts has it for Linux."""
    if home := os.environ.get("ASRPRO_HOME"):
        return Path(home).resolve()
    given = os.environ.get("XDG_DATA_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "share") / "asrpro"


def cluster_data() -> Path:
    """What belongs to the cluster in it: models that came from gateways, and the token."""
    return node_data() / "cluster"
