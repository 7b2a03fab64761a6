"""Called by `ray start` (RAY_START_HOOK) on the head, before it starts its processes."""

from __future__ import annotations

from typing import Any


def without_unused_processes(parameters: Any, head: bool) -> None:  # noqa: FBT001 - Ray's signature
    """Do not start the server for Ray's own client, nor the dashboard's server.

    Each is a process with an open port that asrpro does not use, and the head waited 1.5 s for the dashboard's. `ray
    start` has no flags for this: it replaces a missing port of the client's server by 10001, and `--include-dashboard
    false` only makes the dashboard's server smaller.
    """
    if head:
        from ray._private.node import Node

        parameters.ray_client_server_port = None
        Node.start_api_server = _start_no_server


def _start_no_server(node: Any, **_: object) -> None:
    # What Ray sets when the dashboard is off.
    node._webui_url = ""  # noqa: SLF001
