"""The socket to the gateway. One thread owns it; other threads pass it their messages through an inproc pair."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

import zmq
from msgspec import DecodeError, Struct, ValidationError
from msgspec.msgpack import decode, encode

from asrpro_worker.messages import Failure, decode_gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.messages import Bootstrap, GatewayMessage, WorkerMessage

log = logging.getLogger(__name__)

# How long `close` waits for the last messages to be sent.
_LINGER_MS = 1000
# libzmq's own thread answers heartbeats, so a busy engine does not delay them.
_HEARTBEAT_MS = 5000
_STOP = b""


class _Subject(Struct):
    """The keys that identify the job or the request of any gateway message."""

    job: str | None = None
    request: str | None = None


class Transport:
    """Sends from any thread. Calls `receive` for each message on the socket's thread, so it must not block."""

    def __init__(self, bootstrap: Bootstrap, receive: Callable[[GatewayMessage], None]) -> None:
        self._receive = receive
        self._context = zmq.Context()
        self._inlet = self._context.socket(zmq.PAIR)
        self._inlet.setsockopt(zmq.SNDHWM, 0)
        self._lock = threading.Lock()
        outlet = self._context.socket(zmq.PAIR)
        outlet.setsockopt(zmq.RCVHWM, 0)
        outlet.bind("inproc://outgoing")
        self._inlet.connect("inproc://outgoing")
        dealer = _connect(self._context, bootstrap)
        self._thread = threading.Thread(target=self._run, args=(dealer, outlet), name="transport", daemon=True)
        self._thread.start()

    def send(self, message: WorkerMessage) -> None:
        """Queue one message; messages are sent in the order of the calls."""
        frame = encode(message)
        with self._lock:
            self._inlet.send(frame)

    def close(self) -> None:
        """Send the queued messages, for at most the linger time, and close the socket."""
        with self._lock:
            self._inlet.send(_STOP)
        self._thread.join()
        self._inlet.close()
        self._context.term()

    def _run(self, dealer: zmq.Socket[bytes], outlet: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(outlet, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if outlet in ready:
                frame = outlet.recv()
                if frame == _STOP:
                    break
                dealer.send(frame)
            if dealer in ready:
                self._handle(dealer.recv_multipart())
        outlet.close(linger=0)
        dealer.close(linger=_LINGER_MS)

    def _handle(self, frames: list[bytes]) -> None:
        try:
            message = decode_gateway(frames[-1])
        except ValueError as error:
            log.error("The gateway sent an invalid message: %s", error)  # noqa: TRY400 - no trace needed
            self._refuse(frames[-1], str(error))
            return
        self._receive(message)

    def _refuse(self, frame: bytes, reason: str) -> None:
        """Answer an invalid message with an error. Without it, a job with null for a boolean hung forever."""
        with contextlib.suppress(ValidationError, DecodeError):
            subject = decode(frame, type=_Subject)
            if name := subject.job or subject.request:
                self.send(Failure(name, "internal_error", f"The worker cannot read the request: {reason}", None))


def _connect(context: zmq.Context[zmq.Socket[bytes]], bootstrap: Bootstrap) -> zmq.Socket[bytes]:
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.IDENTITY, bootstrap.identity.encode())
    dealer.setsockopt(zmq.SNDHWM, 0)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 4 * _HEARTBEAT_MS)
    if bootstrap.curve is not None:
        dealer.setsockopt(zmq.CURVE_SERVERKEY, bootstrap.curve.server_public.encode())
        dealer.setsockopt(zmq.CURVE_PUBLICKEY, bootstrap.curve.client_public.encode())
        dealer.setsockopt(zmq.CURVE_SECRETKEY, bootstrap.curve.client_secret.encode())
    dealer.connect(bootstrap.endpoint)
    return dealer
