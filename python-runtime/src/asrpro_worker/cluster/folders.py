"""Where a node keeps its files."""

from __future__ import annotations

import os
from pathlib import Path


def node_data() -> Path:
    """The data directory of asrpro on this machine; src/config/paths.ts has the same rule for Linux."""
    if home := os.environ.get("ASRPRO_HOME"):
        return Path(home).resolve()
    given = os.environ.get("XDG_DATA_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "share") / "asrpro"


def cluster_data() -> Path:
    """The cluster's folder in it: models copied from gateways, and the token."""
    return node_data() / "cluster"
