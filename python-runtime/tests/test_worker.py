"""The whole worker, from the bootstrap line to its exit."""

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

PARENT = str(Path(__file__).with_name("parent_of_worker.py"))


@pytest.mark.parametrize("curve", [False, True])
def test_life_of_a_worker(whisper: Path, spool: Path, curve: bool) -> None:  # noqa: FBT001
    audio = write_wav(spool / "upload", noise(2))
    with WorkerProcess(curve=curve) as worker:
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

        *before, result = worker.transcribe(audio)
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
        assert worker.process.stdout.read() == b"", "stdout belongs to nobody"
    assert sorted(spool.iterdir()) == [audio], "the decoded audio is gone"


def test_loading_is_told_phase_by_phase(worker: WorkerProcess, whisper: Path) -> None:
    model = {"id": "toy", "path": str(whisper), "quantization": None, "languages": ["de"]}
    worker.send("load", request="r", model=model, device="cpu", compute_type="float32", threads=1, concurrency=0)
    *phases, loaded = worker.until("loaded")
    assert [message["phase"] for message in phases] == ["import", "weights", "warm-up"]
    assert (loaded["compute_type"], loaded["languages"]) == ("float32", ["de"])


def test_several_jobs_are_answered_in_order(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    worker.load(whisper)
    for number in range(3):
        worker.ask(f"job-{number}", write_wav(spool / str(number), noise(1 + number)))
    ends = [worker.until("result")[-1] for _ in range(3)]
    assert [(end["job"], end["duration"]) for end in ends] == [("job-0", 1.0), ("job-1", 2.0), ("job-2", 3.0)]


def test_jobs_run_side_by_side_where_asked_for(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    assert worker.load(whisper, threads=2, concurrency=2)["concurrency"] == 2
    long, short = write_wav(spool / "long", noise(240)), write_wav(spool / "short", noise(1))
    worker.ask("long", long)
    assert worker.until("started")[-1]["job"] == "long"
    worker.ask("short", short)
    assert worker.until("result")[-1]["job"] == "short"
    worker.send("cancel", job="long")
    assert worker.until("cancelled", "result")[-1] == {"type": "cancelled", "job": "long"}


def test_cancel_of_a_running_and_of_a_waiting_job(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    worker.load(whisper)
    audio = write_wav(spool / "upload", noise(600))
    worker.ask("running", audio)
    worker.ask("waiting", audio)
    worker.until("segment")
    worker.send("cancel", job="waiting")
    worker.send("cancel", job="running")
    ends = [worker.until("cancelled", "result", "error")[-1] for _ in range(2)]
    assert ends == [{"type": "cancelled", "job": "running"}, {"type": "cancelled", "job": "waiting"}]
    assert worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result", "and it works on"


def test_a_request_that_cannot_be_read_is_answered(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    worker.load(whisper)
    sound = write_wav(spool / "a", noise(1))
    answer = worker.transcribe(sound, segment_timestamps=None)[-1]
    assert (answer["type"], answer["subject"], answer["code"]) == ("error", "job-1", "internal_error")
    assert "segment_timestamps" in answer["message"]
    assert worker.transcribe(sound)[-1]["type"] == "result"


def test_cancel_of_an_unknown_job_is_nothing(worker: WorkerProcess, whisper: Path) -> None:
    worker.send("cancel", job="never heard of")
    assert worker.load(whisper)["type"] == "loaded"


def test_unload_ends_what_is_running(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    worker.load(whisper)
    worker.ask("job", write_wav(spool / "upload", noise(600)))
    worker.until("segment")
    worker.send("unload", request="u")
    kinds = [message["type"] for message in worker.until("unloaded")]
    assert kinds[-2:] == ["cancelled", "unloaded"]
    assert worker.process.wait(30) == 0


def test_an_error_costs_one_job_only(worker: WorkerProcess, whisper: Path, spool: Path) -> None:
    assert worker.transcribe(SILENCE)[-1]["code"] == "model_not_ready"
    worker.load(whisper)
    (spool / "empty").touch()
    error = worker.transcribe(spool / "empty")[-1]
    assert (error["subject"], error["code"], error["param"]) == ("job-1", "invalid_file_format", "file")
    lost = worker.transcribe(spool / "no such file")[-1]
    assert lost["code"] == "internal_error"
    assert str(spool) not in lost["message"]
    assert worker.transcribe(SILENCE, vad_filter=True)[-1]["type"] == "result"


def test_a_second_model_is_refused(worker: WorkerProcess, whisper: Path) -> None:
    worker.load(whisper)
    assert worker.load(whisper, request="again")["code"] == "model_load_failed"


def test_devices_are_tried(worker: WorkerProcess) -> None:
    worker.send("probe", request="p", devices=["cpu", "mps"])
    answer = worker.until("devices")[-1]
    cpu, mps = answer["devices"]
    assert (cpu["usable"], cpu["reason"]) == (True, None)
    assert "float32" in cpu["compute_types"]
    assert not mps["usable"]
    assert mps["reason"]


def test_an_engine_that_is_not_installed_is_said_at_load(whisper: Path) -> None:
    with WorkerProcess("nemo") as worker:
        worker.until("hello")
        assert worker.load(whisper)["code"] == "engine_broken"


def test_ctrl_c_is_the_gateways_and_sigterm_ends(worker: WorkerProcess, whisper: Path) -> None:
    worker.process.send_signal(signal.SIGINT)
    assert worker.load(whisper)["type"] == "loaded"
    worker.process.terminate()
    assert worker.process.wait(30) == -signal.SIGTERM


def test_end_of_stdin_ends_the_worker(worker: WorkerProcess) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0


if platform.system() == "Linux":  # where the kernel tells of a parent's death

    def test_death_of_the_parent_ends_the_worker() -> None:
        parent = start_python(PARENT)
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        # its second thread is started after the signal is arranged
        while child.num_threads() == 1:
            assert child.is_running()
        parent.kill()
        parent.communicate()
        psutil.wait_procs([child], timeout=30)
        # where nobody reaps orphans, a dead one stays as a zombie
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "this program is started by asrpro"),
        ("GET / HTTP/1.1", "this program is started by asrpro"),
        ("{}", "missing required field `protocol`"),
        (json.dumps({**BOOTSTRAP, "protocol": 2}), "protocol 2 is not 1"),
        (json.dumps({**BOOTSTRAP, "curve": {}}), "missing required field `server_public` - at `$.curve`"),
    ],
)
def test_a_wrong_first_line_is_said_and_ends_it(line: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "asrpro_worker"],
        input=f"{line}\n".encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=60,
    )
    assert ended.returncode == 2
    assert said in ended.stderr.decode()
