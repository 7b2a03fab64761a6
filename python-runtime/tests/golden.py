"""One example of every message, stored in test/wire/golden for the tests of both languages.

`python tests/golden.py` writes the files: NAME.json for readers, and NAME.msgpack with the bytes on the wire.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

DIRECTORY = Path(__file__).parents[2] / "test" / "wire" / "golden"

_SEGMENT = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 2.5,
    "text": " Über 東京 🎧.",
    "tokens": [50364, 400, 50489],
    "temperature": 0.2,
    "avg_logprob": -0.25,
    "compression_ratio": 1.125,
    "no_speech_prob": 0.0625,
    "words": [
        {"word": "Über", "start": 0.0, "end": 0.5, "probability": 0.75},
        {"word": "東京", "start": 0.5, "end": 1.5, "probability": None},
    ],
    "logprobs": [{"token": " Ü", "logprob": -0.5, "bytes": [32, 195, 156]}],
}

EXAMPLES: dict[str, dict[str, object]] = {
    "load": {
        "type": "load",
        "request": "r-1",
        "model": {
            "id": "whisper-base",
            "path": "/models/whisper-base",
            "quantization": None,
            "languages": ["en", "de"],
        },
        "device": "cpu",
        "compute_type": "int8",
        "threads": 4,
        "concurrency": 0,
    },
    "load-onnx": {
        "type": "load",
        "request": "r-2",
        "model": {"id": "parakeet", "path": "/models/parakeet", "quantization": "int8", "languages": None},
        "device": "cuda:0",
        "compute_type": "auto",
        "threads": 0,
        "concurrency": 2,
    },
    "load-cluster": {
        "type": "load",
        "request": "r-5",
        "model": {"id": "whisper-base", "path": "/models/whisper-base", "quantization": None, "languages": None},
        "device": "auto",
        "compute_type": "auto",
        "threads": 0,
        "concurrency": 0,
        "cluster": {
            "address": "10.0.0.1:6379",
            "replicas": {"min": 1, "max": 4},
            "engine": "faster-whisper",
            "model": "whisper-base",
        },
    },
    "transcribe": {
        "type": "transcribe",
        "job": "j-1",
        "audio": "/run/spool/1",
        "task": "translate",
        "language": "de",
        "prompt": "Müller, 東京",
        "temperature": 0.5,
        "beam_size": 5,
        "hotwords": ["asrpro"],
        "word_timestamps": True,
        "logprobs": True,
        "vad_filter": True,
        "segment_timestamps": False,
        "languages": ["de", "en"],
    },
    "transcribe-plain": {
        "type": "transcribe",
        "job": "j-2",
        "audio": "/run/spool/2",
        "task": "transcribe",
        "language": None,
        "prompt": None,
        # msgpack encodes a whole number as an integer; both sides must accept it as a float.
        "temperature": 0,
        "beam_size": None,
        "hotwords": [],
        "word_timestamps": False,
        "logprobs": False,
        "vad_filter": False,
    },
    "cancel": {"type": "cancel", "job": "j-1"},
    "unload": {"type": "unload", "request": "r-3"},
    "probe": {"type": "probe", "request": "r-4", "devices": ["cpu", "cuda:0"]},
    "hello": {
        "type": "hello",
        "protocol": 1,
        "token": "c2VjcmV0",
        "pid": 4711,
        "engine": "faster-whisper",
        "versions": {"python": "3.12.1", "faster-whisper": "1.2.1"},
    },
    "loading": {"type": "loading", "request": "r-1", "phase": "warm-up"},
    "loaded": {
        "type": "loaded",
        "request": "r-1",
        "device": "cpu",
        "compute_type": "int8_float32",
        "threads": 4,
        "concurrency": 1,
        "languages": ["en", "de"],
        "capabilities": {
            "tasks": ["transcribe", "translate"],
            "word_timestamps": True,
            "logprobs": False,
            "prompt": True,
            "temperature": True,
            "hotwords": True,
            "detects_language": True,
            "neutral": ["compression_ratio"],
        },
        "memory_bytes": 250000000,
        "seconds": 1.25,
    },
    "started": {"type": "started", "job": "j-1", "duration": 11.5},
    "started-unknown": {"type": "started", "job": "j-1", "duration": None},
    "progress": {"type": "progress", "job": "j-1", "position": 30.5},
    "segment": {"type": "segment", "job": "j-1", "segment": _SEGMENT},
    "segment-plain": {"type": "segment", "job": "j-1", "segment": {**_SEGMENT, "words": None, "logprobs": None}},
    "result": {
        "type": "result",
        "job": "j-1",
        "language": "de",
        "language_probability": 0.875,
        "duration": 11.5,
        "skipped_packets": 2,
        "timings": {"decode": 0.125, "engine": 0.75},
    },
    "result-silent": {
        "type": "result",
        "job": "j-1",
        "language": None,
        "language_probability": None,
        "duration": 30.0,
        "skipped_packets": 0,
        "timings": {},
    },
    "error": {
        "type": "error",
        "subject": "j-1",
        "code": "audio_too_short",
        "message": "Audio file is too short. Minimum audio length is 0.1 seconds.",
        "param": "file",
    },
    "error-load": {
        "type": "error",
        "subject": "r-1",
        "code": "model_broken",
        "message": "The model is damaged: model.bin is missing. Delete the model and download it again.",
        "param": None,
    },
    "cancelled": {"type": "cancelled", "job": "j-1"},
    "unloaded": {"type": "unloaded", "request": "r-3", "memory_before": 250000000, "memory_after": 100000000},
    "devices": {
        "type": "devices",
        "request": "r-4",
        "devices": [
            {"id": "cpu", "usable": True, "compute_types": ["int8", "float32"], "reason": None},
            {"id": "cuda:0", "usable": False, "compute_types": [], "reason": "There is no NVIDIA driver."},
        ],
    },
    "cluster": {
        "type": "cluster",
        "reachable": True,
        "reason": None,
        "nodes": [
            {
                "id": "c0ffee",
                "name": "worker-1",
                "alive": True,
                "cpus": 8,
                "gpus": 1,
                "memory_bytes": 34359738368,
                "slots": 1,
                "replicas": 1,
                "models": ["whisper-base"],
            },
        ],
    },
    "cluster-gone": {
        "type": "cluster",
        "reachable": False,
        "reason": "The head at 10.0.0.1:6379 does not answer.",
        "nodes": [],
    },
}


def main() -> None:
    """Write every example in both forms."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, message in EXAMPLES.items():
        text = json.dumps(message, ensure_ascii=False, indent=2)
        (DIRECTORY / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        (DIRECTORY / f"{name}.msgpack").write_bytes(msgspec.msgpack.encode(message))


if __name__ == "__main__":
    main()
