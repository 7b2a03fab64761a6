"""The gateway hears from every job while the worker decodes files and searches for speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
from in_process import hear, job, load

from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.messages import Progress
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from worker_process import WorkerProcess

    from asrpro_worker.messages import WorkerMessage
    from asrpro_worker.pcm import Pcm


def test_a_job_is_alive_during_minutes_without_speech(whisper: Path, pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asrpro_worker.job._PROGRESS_INTERVAL", 0.0)
    engine = Whisper()
    load(engine, whisper)
    pcm.append_silence(10 * 60 * RATE)
    sent: list[WorkerMessage] = []
    hear(engine, pcm, job(sent, vad_filter=True))
    assert sum(isinstance(message, Progress) for message in sent) >= 10


def test_a_waiting_job_is_alive_while_another_file_is_decoded(loaded_worker: WorkerProcess, tmp_path: Path) -> None:
    path = silence(tmp_path / "silence.flac", hours=2)
    loaded_worker.ask("long", path, vad_filter=True)
    loaded_worker.ask("waiting", path, vad_filter=True)
    seen: set[str] = set()
    while seen != {"long", "waiting"}:
        message = loaded_worker.receive()
        assert message["type"] == "progress", "the first file is still being decoded"
        seen.add(message["job"])
    for job_id in ("long", "waiting"):
        loaded_worker.send("cancel", job=job_id)
        loaded_worker.until("cancelled")


def silence(path: Path, hours: int) -> Path:
    with av.open(str(path), "w") as target:
        stream: Any = target.add_stream("flac", rate=16_000, layout="mono")
        for _ in range(hours):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000 * 3600), np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path
