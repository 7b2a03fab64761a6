"""The start order of the worker as one list."""

from __future__ import annotations

import logging
import os
import signal
import sys

from asrpro_worker.engines.protocol import open_engine
from asrpro_worker.logs import start_logging
from asrpro_worker.loop import Loop
from asrpro_worker.messages import PROTOCOL, Hello
from asrpro_worker.parent import die_with_parent, read_bootstrap
from asrpro_worker.transport import Transport
from asrpro_worker.versions import installed_versions

log = logging.getLogger(__name__)


def main() -> None:
    """Run one worker, from the bootstrap line to the exit."""
    # 1. Ctrl-C reaches every process of the terminal, but only the gateway handles it. SIGTERM keeps its default
    #    action: a Python handler would have to wait for the interpreter lock.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # 2. Engines print to stdout; redirect that to stderr.
    os.dup2(2, 1)
    # 3. Nothing leaves the machine: models load without the network, and onnxruntime must not send telemetry (its
    #    published builds report usage and model names). Both variables are read at import.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # 4. Read the bootstrap line, and make sure that this process ends with its gateway.
    try:
        bootstrap = read_bootstrap()
    except ValueError as error:
        sys.stderr.write(f"asrpro_worker: {error}\n")
        sys.exit(2)
    die_with_parent(bootstrap.parent_pid)
    start_logging(bootstrap.log_level)
    # 5. Connect, and send `hello` before the engine is imported, which takes seconds.
    loop = Loop(lambda: open_engine(bootstrap.engine), lambda message: transport.send(message))  # noqa: PLW0108
    transport = Transport(bootstrap, loop.receive)
    transport.send(Hello(PROTOCOL, bootstrap.token, os.getpid(), bootstrap.engine, installed_versions()))
    # 6. Import the engine and work until `unload`.
    code = 0
    try:
        loop.run()
    except Exception:
        log.exception("The worker failed and exits")
        code = 1
    # 7. Flush the last messages and exit without running the destructors of native libraries, some of which abort.
    transport.close()
    sys.stderr.flush()
    os._exit(code)
