"""Parakeet and Whisper as ONNX, run by onnx-asr."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_asr
import onnxruntime

from asrpro_worker.engines.measures import finite, untimed
from asrpro_worker.engines.onnx import devices
from asrpro_worker.engines.onnx.files import OnnxDirectory, check_directory, load_error
from asrpro_worker.engines.onnx.token_times import Token, segment, sentences
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.errors import WorkerError
from asrpro_worker.machine import few_pieces, thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrpro_worker.messages import Load, ProbedDevice, Segment
    from asrpro_worker.piece import Outcome, Piece

# Numbers of other exports are scaled over all pieces of a call: beside others, three of four pieces had another text.
_INDEPENDENT = (None, "fp16")
# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100


class OnnxAsr:
    """The engine `onnx-asr`. Whisper exports hear no more than a piece, and Parakeet exports break at 400 s."""

    def __init__(self) -> None:
        self._model: Any = None
        self._whisper = False
        self._takes_language = False

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. The compute type is that of the files."""
        quantization = request.model.quantization
        directory = check_directory(request.model.path, quantization)
        device = devices.resolve(request.device)
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
                providers=devices.providers(device),
            )
            sessions = [part for part in vars(model.asr).values() if isinstance(part, onnxruntime.InferenceSession)]
            devices.check_in_force(sessions, device)
            _check_features(sessions, directory)
            phase("warm-up")
            model.recognize(np.zeros(RATE, np.float32), **_options(next(iter(directory.languages), None)))
        except WorkerError:
            raise
        except Exception as error:
            raise load_error(error) from error
        self._model = model.with_timestamps()
        self._whisper = directory.is_whisper
        self._takes_language = bool(directory.languages)
        return Facts(
            device=device,
            compute_type=quantization or "float32",
            threads=threads,
            batch=few_pieces(request.concurrency, device) if quantization in _INDEPENDENT else 1,
            languages=_languages(directory, request.model.languages),
            capabilities=_capabilities(directory),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. Pieces with one language go into one call."""
        groups: defaultdict[str | None, list[Piece]] = defaultdict(list)
        for piece in pieces:
            groups[piece.language if self._takes_language else None].append(piece)
        found: dict[Piece, Outcome] = {}
        for language, group in groups.items():
            alive()
            heard = self._model.recognize([piece.samples for piece in group], **_options(language))
            for piece, one in zip(group, heard, strict=True):
                # The library finds the language by itself and does not tell.
                found[piece] = Heard(list(self._segments(piece, one)), piece.language)
        return [found[piece] for piece in pieces]

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)

    def _segments(self, piece: Piece, heard: Any) -> Iterator[Segment]:
        seek, end = piece.spans[0][0] // _FRAME, piece.end
        if self._whisper:
            if heard.text.strip():
                yield untimed(f" {heard.text.strip()}", piece.start, end, seek)
            return
        parts = zip(heard.tokens, heard.timestamps, heard.logprobs, strict=True)
        tokens = [
            Token(text, piece.stretch(float(at), float(at))[0], finite(logprob, -100.0)) for text, at, logprob in parts
        ]
        cut = list(sentences(tokens))
        for index, sentence in enumerate(cut):
            limit = cut[index + 1][0].start if index + 1 < len(cut) else end
            yield segment(sentence, limit, seek, piece.job.request)


def create() -> OnnxAsr:
    """The engine, without a model."""
    return OnnxAsr()


def _options(language: str | None) -> dict[str, str]:
    """English-only Whisper exports must get no language: with one, the error rate goes from 12 to 80 %."""
    return {"language": language} if language else {}


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
