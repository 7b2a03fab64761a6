"""Whether a head listens at its address. Plain TCP: Ray retries for up to a minute before it reports a dead head."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

_CONNECT_TIMEOUT = 3.0
_RECONNECT_DELAY = 0.5
# In a row: a single broken connection may be a network problem that is over already.
_MAX_FAILURES = 2
# How often `stopped` is checked while the connection is silent.
_POLL = 1.0
# A machine that loses power closes no connection; keepalive probes find that out after 5 + 3 * 2 seconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}


def why_unreachable(address: str) -> str | None:
    """None where something listens at `address` (HOST:PORT), else the reason as one sentence."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return f"'{address}' is not the address of a head; an address looks like 10.0.0.1:6379."
    try:
        _connect(address).close()
    except OSError as error:
        return _reason(address, error)
    return None


def wait_until_unreachable(address: str, stopped: threading.Event) -> str | None:
    """Hold a connection to the head and return the reason when the head is lost, or None once `stopped` is set.

    The kernel closes the connection the moment the head's process dies. Ray's server also closes it after two minutes
    without a request, so a closed connection is opened again before the head counts as lost.
    """
    failures = 0
    while not stopped.is_set():
        try:
            with _connect(address) as connection:
                failures = 0
                _wait_for_close(connection, stopped)
        except OSError as error:
            failures += 1
            if failures == _MAX_FAILURES:
                return _reason(address, error)
        stopped.wait(_RECONNECT_DELAY)
    return None


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT)
    if sys.platform == "linux":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _wait_for_close(connection: socket.socket, stopped: threading.Event) -> None:
    connection.settimeout(_POLL)
    while not stopped.is_set():
        try:
            if not connection.recv(4096):
                return
        except TimeoutError as error:
            # `_POLL` has passed without data. With an errno it is the kernel: the keepalive probes had no answer.
            if error.errno is not None:
                raise


def _reason(address: str, error: OSError) -> str:
    return f"The head at {address} does not answer ({error.strerror or error})."
