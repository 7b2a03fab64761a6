"""The start order of the worker, as one list."""

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
    # 1. Ctrl-C reaches the whole terminal and is the gateway's to handle. SIGTERM keeps its default action: a Python
    #    handler would wait for the interpreter lock.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # 2. Engines print to stdout.
    os.dup2(2, 1)
    # 3. Nothing leaves the machine: loading never touches the network, and onnxruntime, whose published builds report
    #    their use and the names of models to their maker, is silent. Both are read at import.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # 4. Who started us, and death with it.
    try:
        bootstrap = read_bootstrap()
    except ValueError as error:
        sys.stderr.write(f"asrpro_worker: {error}\n")
        sys.exit(2)
    die_with_parent(bootstrap.parent_pid)
    start_logging(bootstrap.log_level)
    # 5. The socket; `hello` before the seconds that an engine's import takes.
    loop = Loop(lambda: open_engine(bootstrap.engine), lambda message: transport.send(message))  # noqa: PLW0108 - made below
    transport = Transport(bootstrap, loop.receive)
    transport.send(Hello(PROTOCOL, bootstrap.token, os.getpid(), bootstrap.engine, installed_versions()))
    # 6. The engine, and work until `unload`.
    code = 0
    try:
        loop.run()
    except Exception:
        log.exception("The worker is broken and ends")
        code = 1
    # 7. Say what is left to say and go, without the destructors of native libraries, some of which abort.
    transport.close()
    sys.stderr.flush()
    os._exit(code)
