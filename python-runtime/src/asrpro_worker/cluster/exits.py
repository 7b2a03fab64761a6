"""Waits until the processes of replicas have ended, also on other machines.

A task of Ray on each machine could look at its processes, but Ray starts two processes on each machine for such a task,
which took four of the seven seconds of an unload.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asrpro_worker.cluster.spec import Heartbeat

_CONNECT_TIMEOUT = 3.0


class Exits:
    """Holds a connection to each replica, which the kernel closes when the replica's process ends.

    A replica ends its engine's process before it ends itself. Use as a context manager, opened before the replicas are
    asked to end.
    """

    def __init__(self, replicas: Iterable[Heartbeat]) -> None:
        self._bytes: dict[socket.socket, int] = {}
        for beat in replicas:
            # A replica that refuses the connection has ended already.
            with contextlib.suppress(OSError):
                connection = socket.create_connection(beat.address, _CONNECT_TIMEOUT)
                connection.settimeout(0)
                self._bytes[connection] = beat.memory_bytes

    def wait(self, seconds: float) -> int:
        """Wait for all of them. Returns the bytes of those that have not ended after this time."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for connection in self._bytes:
                selector.register(connection, selectors.EVENT_READ, connection)
            while self._bytes and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if _is_closed(key.data):
                        selector.unregister(key.data)
                        key.data.close()
                        del self._bytes[key.data]
        return sum(self._bytes.values())

    def __enter__(self) -> Exits:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._bytes:
            connection.close()


def _is_closed(connection: socket.socket) -> bool:
    """Reads what has arrived: Ray's server greets each connection."""
    try:
        return not connection.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True
