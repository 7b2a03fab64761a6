"""Parakeet and Whisper as ONNX, run by onnx-asr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_asr
import onnxruntime

from asrpro_worker.engines import onnx_devices
from asrpro_worker.engines.base import Facts, Recognition
from asrpro_worker.engines.onnx_directory import OnnxDirectory, check_directory, load_error
from asrpro_worker.engines.refusal import refuse
from asrpro_worker.engines.threads import thread_count
from asrpro_worker.engines.token_times import Token, compression_ratio, segment, sentences
from asrpro_worker.errors import WorkerError
from asrpro_worker.longform import pieces
from asrpro_worker.messages import Capabilities, Segment
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Load, ProbedDevice, Transcribe
    from asrpro_worker.pcm import Pcm

# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100
# Less than this the models answer with invented text.
_SHORTEST = RATE // 10


class OnnxAsr:
    """The engine `onnx-asr`.

    Audio goes in as pieces of at most 30 s: Whisper exports hear no more, and Parakeet exports break at 400 s.
    """

    def __init__(self) -> None:
        self._model: Any = None
        self._facts: Facts | None = None
        self._whisper = False
        self._takes_language = False

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. The compute type is that of the files."""
        quantization = request.model.quantization
        directory = check_directory(request.model.path, quantization)
        device = onnx_devices.resolve(request.device)
        threads = thread_count(request.threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Pieces differ in length. The library would remember a plan of memory for each length, and its arena would grow
        # with them: a quarter more memory after 12 minutes, for no gain in time.
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        phase("weights")
        try:
            model = onnx_asr.load_model(
                directory.model_type,
                directory.path,
                quantization=quantization,
                sess_options=options,
                providers=onnx_devices.providers(device),
            )
            sessions = [part for part in vars(model.asr).values() if isinstance(part, onnxruntime.InferenceSession)]
            onnx_devices.check_in_force(sessions, device)
            _check_features(sessions, directory)
            phase("warm-up")
            model.recognize(np.zeros(RATE, np.float32), **_options(directory.languages[:1]))
        except WorkerError:
            raise
        except Exception as error:
            raise load_error(error) from error
        self._model = model.with_timestamps()
        self._whisper = directory.is_whisper
        self._takes_language = bool(directory.languages)
        self._facts = Facts(
            device=device,
            compute_type=quantization or "float32",
            threads=threads,
            concurrency=max(1, request.concurrency),
            languages=_languages(directory, request.model.languages),
            capabilities=_capabilities(directory),
        )
        return self._facts

    def transcribe(self, job: Job, pcm: Pcm) -> Recognition:
        """See Engine.transcribe."""
        if self._facts is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        request, languages = job.request, self._facts.languages
        refuse(request, self._facts.capabilities, languages)
        # The library finds the language by itself and does not tell.
        language = request.language or (languages[0] if len(languages) == 1 else None)
        return Recognition(language, None, self._segments(job, pcm))

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return onnx_devices.probe(device)

    def _segments(self, job: Job, pcm: Pcm) -> Iterator[Segment]:
        request, number = job.request, 0
        spoken = [request.language] if request.language and self._takes_language else []
        for start, stop in pieces(pcm, job.progress):
            if stop - start < _SHORTEST:
                continue
            job.progress(start / RATE)
            heard = self._model.recognize(pcm.read(start, stop), **_options(spoken))
            for made in self._piece(heard, start, stop, request, number):
                yield made
                number += 1

    def _piece(self, heard: Any, start: int, stop: int, request: Transcribe, number: int) -> Iterator[Segment]:
        seek, end = start // _FRAME, stop / RATE
        if self._whisper:
            if heard.text.strip():
                yield _untimed(number, f" {heard.text.strip()}", start / RATE, end, seek)
            return
        parts = zip(heard.tokens, heard.timestamps, heard.logprobs, strict=True)
        tokens = [Token(text, start / RATE + float(at), _finite(logprob)) for text, at, logprob in parts]
        cut = list(sentences(tokens))
        for index, sentence in enumerate(cut):
            limit = cut[index + 1][0].start if index + 1 < len(cut) else end
            yield segment(number + index, sentence, limit, seek, request)


def create() -> OnnxAsr:
    """The engine, without a model."""
    return OnnxAsr()


def _options(languages: list[str]) -> dict[str, str]:
    """English-only Whisper exports must get no language: with one, the error rate goes from 12 to 80 %."""
    return {"language": languages[0]} if languages else {}


def _check_features(sessions: list[onnxruntime.InferenceSession], directory: OnnxDirectory) -> None:
    for graph_input in (graph_input for session in sessions for graph_input in session.get_inputs()):
        if graph_input.name not in ("audio_signal", "input_features"):
            continue
        wanted = graph_input.shape[1]
        if isinstance(wanted, int) and directory.features is not None and wanted != directory.features:
            raise load_error(ValueError("dimension of the features"))


def _languages(directory: OnnxDirectory, stated: list[str] | None) -> list[str]:
    if directory.is_whisper:
        known = directory.languages or ["en"]
        return [code for code in known if stated is None or code in stated] or known
    # The exports of Parakeet do not say what they know.
    return stated or []


def _capabilities(directory: OnnxDirectory) -> Capabilities:
    timed = not directory.is_whisper
    neutral = ["tokens", "no_speech_prob"]
    return Capabilities(
        tasks=["transcribe"],
        word_timestamps=timed,
        logprobs=timed,
        prompt=False,
        temperature=False,
        hotwords=False,
        detects_language=False,
        neutral=neutral if timed else [*neutral, "avg_logprob"],
    )


def _untimed(number: int, text: str, start: float, end: float, seek: int) -> Segment:
    """A piece as one segment, for a model that has neither times nor probabilities."""
    return Segment(
        id=number,
        seek=seek,
        start=start,
        end=end,
        text=text,
        tokens=[],
        temperature=0.0,
        avg_logprob=0.0,
        compression_ratio=compression_ratio(text),
        no_speech_prob=0.0,
        words=None,
        logprobs=None,
    )


def _finite(value: float) -> float:
    return float(np.nan_to_num(value, nan=-100.0, neginf=-100.0))
