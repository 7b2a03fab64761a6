"""The engine `onnx-asr`: loads Parakeet, Canary, GigaAM and Whisper as ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_asr
import onnxruntime

from asrpro_worker.engines.onnx import devices
from asrpro_worker.engines.onnx.canary import Canary
from asrpro_worker.engines.onnx.files import OnnxDirectory, check_directory, load_error
from asrpro_worker.engines.onnx.timed import Timed
from asrpro_worker.engines.onnx.whisper import OnnxWhisper
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.errors import WorkerError
from asrpro_worker.machine import cuda_batch_size, thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.messages import Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece

# Only these exports give each piece the same text in any batch. The others scale their numbers over all pieces of a
# call, which changed the text of three out of four pieces.
_BATCHABLE = (None, "fp16")


class OnnxAsr:
    """Runs ONNX exports. Whisper exports accept at most the 30 s of a piece, and Parakeet exports fail beyond 400 s."""

    def __init__(self) -> None:
        self._reader: Timed | OnnxWhisper | Canary | None = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. The files determine the compute type."""
        quantization = request.model.quantization
        directory = check_directory(request.model.path, quantization)
        device = devices.resolve(request.device)
        threads = thread_count(request.threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # With these options the library would keep a memory plan for each length of a piece and a growing arena: a
        # quarter more memory after 12 minutes, and no gain in time.
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        phase("weights")
        try:
            model = onnx_asr.load_model(
                directory.model_type,
                directory.path,
                quantization=quantization,
                sess_options=options,
                providers=devices.providers(device),
            )
            sessions = [part for part in vars(model.asr).values() if isinstance(part, onnxruntime.InferenceSession)]
            devices.check_in_force(sessions, device)
            _check_features(sessions, directory)
            phase("warm-up")
            model.recognize(np.zeros(RATE, np.float32), language=next(iter(directory.languages), None))
        except WorkerError:
            raise
        except Exception as error:
            raise load_error(error) from error
        self._reader = _reader(model.asr, directory)
        return Facts(
            device=device,
            compute_type=quantization or "float32",
            threads=threads,
            batch=cuda_batch_size(request.concurrency, device) if quantization in _BATCHABLE else 1,
            languages=_languages(directory, request.model.languages),
            capabilities=_capabilities(directory),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        return self._reader.decode(pieces, alive) if self._reader else []

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)


create = OnnxAsr


def _reader(asr: Any, directory: OnnxDirectory) -> Timed | OnnxWhisper | Canary:
    if directory.is_whisper:
        return OnnxWhisper(asr, directory.languages)
    return Canary(asr) if directory.is_canary else Timed(asr)


def _check_features(sessions: list[onnxruntime.InferenceSession], directory: OnnxDirectory) -> None:
    for graph_input in (graph_input for session in sessions for graph_input in session.get_inputs()):
        if graph_input.name not in ("audio_signal", "input_features"):
            continue
        mels = graph_input.shape[1]
        if isinstance(mels, int) and directory.features is not None and mels != directory.features:
            raise load_error(ValueError("dimension of the features"))


def _languages(directory: OnnxDirectory, stated: list[str] | None) -> list[str]:
    if directory.is_whisper or directory.is_canary:
        known = directory.languages or ["en"]
        return [code for code in known if stated is None or code in stated] or known
    # Exports of Parakeet do not list their languages.
    return stated or []


def _capabilities(directory: OnnxDirectory) -> Capabilities:
    timed = not (directory.is_whisper or directory.is_canary)
    neutral = ["tokens", "no_speech_prob"]
    return Capabilities(
        tasks=["transcribe", "translate"] if directory.is_canary else ["transcribe"],
        word_timestamps=timed,
        logprobs=not directory.is_whisper,
        prompt=directory.is_whisper,
        temperature=False,
        hotwords=True,
        detects_language=False,
        neutral=[*neutral, "avg_logprob"] if directory.is_whisper else neutral,
    )
