"""Called by `ray start` (RAY_START_HOOK) on the head, before it starts its processes."""

from __future__ import annotations

from typing import Any


def without_client_server(parameters: Any, head: bool) -> None:  # noqa: FBT001 - Ray's signature
    """Do not start the server for Ray's own client: a process and an open port that asrpro does not use.

    `ray start` has no flag for this: it replaces a missing port by 10001.
    """
    if head:
        parameters.ray_client_server_port = None
