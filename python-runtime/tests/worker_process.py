"""A real worker process connected to a real ROUTER socket, as in the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import zmq

SOURCE = Path(__file__).parents[1] / "src"
# Generous: only a worker that hangs reaches this timeout.
_TIMEOUT_MS = 120_000
TOKEN = "a-token"  # noqa: S105 - for a test
BOOTSTRAP: dict[str, Any] = {
    "protocol": 1,
    "endpoint": "ipc:///nowhere",
    "token": TOKEN,
    "generation": 1,
    "identity": "worker-1",
    "engine": "faster-whisper",
    "log_level": "info",
    "parent_pid": 1,
    "curve": None,
}


class WorkerProcess:
    """Starts a worker for an engine; the end of the `with` block kills it."""

    def __init__(self, engine: str = "faster-whisper", *, curve: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="w")
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        keys = self._use_curve() if curve else None
        self._router.bind("tcp://127.0.0.1:*" if curve else f"ipc://{self._directory.name}/s")
        endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.process = start_python("-m", "asrpro_worker")
        bootstrap = {**BOOTSTRAP, "endpoint": endpoint, "engine": engine, "parent_pid": os.getpid(), "curve": keys}
        self.write_line(json.dumps(bootstrap))

    def _use_curve(self) -> dict[str, str]:
        (server_public, server_secret), (client_public, client_secret) = zmq.curve_keypair(), zmq.curve_keypair()
        self._router.setsockopt(zmq.CURVE_SERVER, 1)
        self._router.setsockopt(zmq.CURVE_SECRETKEY, server_secret)
        return {
            "server_public": server_public.decode(),
            "client_public": client_public.decode(),
            "client_secret": client_secret.decode(),
        }

    def write_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def send(self, kind: str, **fields: Any) -> None:
        self._router.send_multipart([b"worker-1", msgspec.msgpack.encode({"type": kind, **fields})])

    def receive(self) -> dict[str, Any]:
        assert self._router.poll(_TIMEOUT_MS), "the worker sent nothing"
        identity, frame = self._router.recv_multipart()
        assert identity == b"worker-1"
        message: dict[str, Any] = msgspec.msgpack.decode(frame)
        return message

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """All messages up to and including the first of one of these kinds."""
        messages = [self.receive()]
        while messages[-1]["type"] not in kinds:
            messages.append(self.receive())
        return messages

    def load(self, path: Path, *, request: str = "load-1", **fields: Any) -> dict[str, Any]:
        """Load a model on the CPU with one thread. Returns the answer, `loaded` or `error`."""
        model = {"id": "toy", "path": str(path), "quantization": None, "languages": None, **fields.pop("model", {})}
        settings = {"device": "cpu", "compute_type": "auto", "threads": 1, "concurrency": 0, **fields}
        self.send("load", request=request, model=model, **settings)
        return self.until("loaded", "error")[-1]

    def ask(self, job: str, audio: Path, **fields: Any) -> None:
        self.send("transcribe", **{**transcribe(job, audio), **fields})

    def transcribe(self, audio: Path, **fields: Any) -> list[dict[str, Any]]:
        """Run one job. Returns all its messages."""
        self.ask("job-1", audio, **fields)
        return self.until("result", "error", "cancelled")

    def unload(self) -> dict[str, Any]:
        self.send("unload", request="unload-1")
        return self.until("unloaded")[-1]

    def __enter__(self) -> WorkerProcess:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._router.close()
        self._context.term()
        self._directory.cleanup()


def transcribe(job: str, audio: Path) -> dict[str, Any]:
    """The fields of a default `transcribe`, without VAD, because toy models get noise."""
    return {
        "job": job,
        "audio": str(audio),
        "task": "transcribe",
        "language": None,
        "prompt": None,
        "temperature": None,
        "beam_size": 1,
        "hotwords": [],
        "word_timestamps": False,
        "logprobs": False,
        "vad_filter": False,
    }


def start_python(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a Python that can import the worker, with pipes for stdin and stdout and the test's stderr."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
