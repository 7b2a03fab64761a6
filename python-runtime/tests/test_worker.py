"""The whole worker process, from the bootstrap line to its exit."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sounds import SILENCE, noise, write_wav
from worker_process import BOOTSTRAP, SOURCE, TOKEN, WorkerProcess, start_python

# A toy model is never certain of its text; at this temperature it is not asked again.
ONCE = {"temperature": 1.0}
PARENT = str(Path(__file__).with_name("parent_of_worker.py"))


def test_life_of_a_worker(whisper: Path, spool: Path) -> None:
    audio = write_wav(spool / "upload", noise(2))
    # The workers of the other tests have no encryption.
    with WorkerProcess(curve=True) as worker:
        hello = worker.until("hello")[-1]
        assert hello["pid"] == worker.process.pid
        assert (hello["protocol"], hello["token"], hello["engine"]) == (1, TOKEN, "faster-whisper")
        assert hello["versions"]["python"] == platform.python_version()
        assert "ctranslate2" in hello["versions"]

        loaded = worker.load(whisper)
        assert (loaded["type"], loaded["device"], loaded["threads"], loaded["concurrency"]) == ("loaded", "cpu", 1, 1)
        assert loaded["compute_type"].startswith("int8")
        assert loaded["languages"] == ["de", "en", "fr"]
        assert loaded["memory_bytes"] > 20_000_000

        *before, result = worker.transcribe(audio, **ONCE)
        kinds = [message["type"] for message in before if message["type"] != "progress"]
        assert (kinds[0], set(kinds[1:])) == ("started", {"segment"})
        ids = [message["segment"]["id"] for message in before if message["type"] == "segment"]
        assert ids == list(range(len(ids)))
        assert result["duration"] == 2.0
        assert {"decode", "vad", "engine"} <= set(result["timings"])

        unloaded = worker.unload()
        assert unloaded["memory_before"] > 20_000_000
        assert worker.process.wait(30) == 0
        assert worker.process.stdout is not None
        assert worker.process.stdout.read() == b"", "nothing is printed to stdout"
    assert sorted(spool.iterdir()) == [audio], "the decoded audio is deleted"


def test_phases_of_loading_are_reported(worker: WorkerProcess, whisper: Path) -> None:
    assert worker.transcribe(SILENCE)[-1]["code"] == "model_not_ready"
    model = {"id": "toy", "path": str(whisper), "quantization": None, "languages": ["de"]}
    worker.send("load", request="r", model=model, device="cpu", compute_type="float32", threads=1, concurrency=0)
    *phases, loaded = worker.until("loaded")
    assert [message["phase"] for message in phases] == ["import", "weights", "warm-up"]
    assert (loaded["compute_type"], loaded["languages"]) == ("float32", ["de"])


def test_several_jobs_are_answered_in_order(loaded_worker: WorkerProcess, spool: Path) -> None:
    for number in range(3):
        loaded_worker.ask(f"job-{number}", write_wav(spool / str(number), noise(1 + number)), **ONCE)
    ends = [loaded_worker.until("result")[-1] for _ in range(3)]
    assert [(end["job"], end["duration"]) for end in ends] == [("job-0", 1.0), ("job-1", 2.0), ("job-2", 3.0)]


def test_jobs_run_side_by_side_if_requested(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    assert worker.load(whisper, threads=2, concurrency=2)["concurrency"] == 2
    long, short = write_wav(spool / "long", noise(240)), write_wav(spool / "short", noise(1))
    worker.ask("long", long, **ONCE)
    assert worker.until("started")[-1]["job"] == "long"
    worker.ask("short", short, **ONCE)
    assert worker.until("result")[-1]["job"] == "short"
    worker.send("cancel", job="long")
    assert worker.until("cancelled", "result")[-1] == {"type": "cancelled", "job": "long"}


def test_cancel_of_a_running_and_of_a_waiting_job(loaded_worker: WorkerProcess, spool: Path) -> None:
    audio = write_wav(spool / "upload", noise(600))
    loaded_worker.ask("running", audio, **ONCE)
    loaded_worker.ask("waiting", audio, **ONCE)
    loaded_worker.until("segment")
    loaded_worker.send("cancel", job="waiting")
    loaded_worker.send("cancel", job="running")
    ends = [loaded_worker.until("cancelled", "result", "error")[-1] for _ in range(2)]
    assert ends == [{"type": "cancelled", "job": "running"}, {"type": "cancelled", "job": "waiting"}]
    assert loaded_worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result", "and the worker still works"


def test_an_invalid_request_is_answered(loaded_worker: WorkerProcess, spool: Path) -> None:
    sound = write_wav(spool / "a", noise(1))
    answer = loaded_worker.transcribe(sound, segment_timestamps=None)[-1]
    assert (answer["type"], answer["subject"], answer["code"]) == ("error", "job-1", "internal_error")
    assert "segment_timestamps" in answer["message"]
    assert loaded_worker.transcribe(sound, **ONCE)[-1]["type"] == "result"


def test_cancel_of_an_unknown_job_is_ignored(loaded_worker: WorkerProcess) -> None:
    loaded_worker.send("cancel", job="unknown")
    assert loaded_worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result"


def test_unload_cancels_running_jobs(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    worker.load(whisper)
    worker.ask("job", write_wav(spool / "upload", noise(600)), **ONCE)
    worker.until("segment")
    worker.send("unload", request="u")
    kinds = [message["type"] for message in worker.until("unloaded")]
    assert kinds[-2:] == ["cancelled", "unloaded"]
    assert worker.process.wait(30) == 0


def test_an_error_fails_one_job_only(loaded_worker: WorkerProcess, spool: Path) -> None:
    (spool / "empty").touch()
    error = loaded_worker.transcribe(spool / "empty")[-1]
    assert (error["subject"], error["code"], error["param"]) == ("job-1", "invalid_file_format", "file")
    lost = loaded_worker.transcribe(spool / "no such file")[-1]
    assert lost["code"] == "internal_error"
    assert str(spool) not in lost["message"]
    assert loaded_worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result"


def test_a_second_model_is_rejected(loaded_worker: WorkerProcess, whisper: Path) -> None:
    assert loaded_worker.load(whisper, request="again")["code"] == "model_load_failed"


def test_devices_are_tested(loaded_worker: WorkerProcess) -> None:
    loaded_worker.send("probe", request="p", devices=["cpu", "mps"])
    answer = loaded_worker.until("devices")[-1]
    cpu, mps = answer["devices"]
    assert (cpu["usable"], cpu["reason"]) == (True, None)
    assert "float32" in cpu["compute_types"]
    assert not mps["usable"]
    assert mps["reason"]


def test_a_missing_engine_is_reported_at_load(whisper: Path) -> None:
    with WorkerProcess("nemo") as worker:
        worker.until("hello")
        assert worker.load(whisper)["code"] == "engine_broken"


def test_ctrl_c_is_ignored(loaded_worker: WorkerProcess) -> None:
    loaded_worker.process.send_signal(signal.SIGINT)
    assert loaded_worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result"


def test_sigterm_ends_the_worker(worker: WorkerProcess) -> None:
    worker.process.terminate()
    assert worker.process.wait(30) == -signal.SIGTERM


def test_end_of_stdin_ends_the_worker(worker: WorkerProcess) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0


if platform.system() == "Linux":  # only Linux signals the death of the parent

    def test_death_of_the_parent_ends_the_worker() -> None:
        parent = start_python(PARENT)
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        # The second thread starts after the signal is set up.
        while child.num_threads() == 1:
            assert child.is_running()
        parent.kill()
        parent.communicate()
        psutil.wait_procs([child], timeout=30)
        # In a container without an init process, a dead orphan stays a zombie.
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "only asrpro can start this program"),
        ("GET / HTTP/1.1", "only asrpro can start this program"),
        ("{}", "missing required field `protocol`"),
        (json.dumps({**BOOTSTRAP, "protocol": 2}), "the gateway speaks protocol 2, this worker 1"),
        (json.dumps({**BOOTSTRAP, "curve": {}}), "missing required field `server_public` - at `$.curve`"),
    ],
)
def test_an_invalid_bootstrap_line_ends_the_worker(line: str, message: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "asrpro_worker"],
        input=f"{line}\n".encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=60,
    )
    assert ended.returncode == 2
    assert message in ended.stderr.decode()
