"""Starts a worker whose stdin stays open when this process dies, so that only the kernel can signal the death."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from worker_process import BOOTSTRAP

reader, writer = os.pipe()
child = subprocess.Popen([sys.executable, "-m", "asrpro_worker"], stdin=reader, pass_fds=[writer])
os.write(writer, json.dumps({**BOOTSTRAP, "parent_pid": os.getpid()}).encode() + b"\n")
sys.stdout.write(f"{child.pid}\n")
sys.stdout.flush()
sys.stdin.read()
