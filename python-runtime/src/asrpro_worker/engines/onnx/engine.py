"""Parakeet and Whisper as ONNX, run by onnx-asr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_asr
import onnxruntime

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.onnx import devices
from asrpro_worker.engines.onnx.choosing import Choice, hear
from asrpro_worker.engines.onnx.files import OnnxDirectory, check_directory, load_error
from asrpro_worker.engines.onnx.token_times import Token, segment, sentences
from asrpro_worker.engines.onnx.whisper import OnnxWhisper
from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.engines.scripts import foreign
from asrpro_worker.errors import WorkerError
from asrpro_worker.machine import thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.engines.onnx.choosing import Chosen
    from asrpro_worker.messages import Load, ProbedDevice, Segment
    from asrpro_worker.piece import Outcome, Piece

# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100
# One after the other: the library decodes a batch piece by piece.
_BATCH = 1


class OnnxAsr:
    """The engine `onnx-asr`. Whisper exports hear no more than a piece, and Parakeet exports break at 400 s."""

    def __init__(self) -> None:
        self._model: Any = None
        self._whisper: OnnxWhisper | None = None
        # Of the last request only: one file has many pieces.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._foreign: dict[tuple[str, ...], NDArray[np.int64]] = {}

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
        self._model = model
        self._whisper = OnnxWhisper(model.asr, directory.languages) if directory.is_whisper else None
        return Facts(
            device=device,
            compute_type=quantization or "float32",
            threads=threads,
            batch=request.concurrency or _BATCH,
            languages=_languages(directory, request.model.languages),
            capabilities=_capabilities(directory),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        return self._whisper.decode(pieces, alive) if self._whisper else self._choose(pieces, alive)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)

    def _choose(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        alive()
        sounds = [piece.samples for piece in pieces]
        heard = hear(self._model.asr, sounds, [self._choice(piece) for piece in pieces])
        return [
            Heard(list(_sentences(piece, chosen)), piece.language) for piece, chosen in zip(pieces, heard, strict=True)
        ]

    def _choice(self, piece: Piece) -> Choice:
        asr, request = self._model.asr, piece.job.request
        wanted = tuple(request.hotwords)
        if wanted and wanted not in self._phrases:
            self._phrases = {wanted: Phrases(wanted, asr._vocab)}  # noqa: SLF001
        languages = tuple([piece.language] if piece.language else request.languages or [])
        if languages not in self._foreign:
            self._foreign = {languages: np.array(foreign(asr._vocab.items(), languages), np.int64)}  # noqa: SLF001
        return Choice(self._phrases.get(wanted), self._foreign[languages], asr._blank_idx)  # noqa: SLF001


def _sentences(piece: Piece, heard: list[Chosen]) -> Iterator[Segment]:
    tokens = []
    for one in heard:
        start, end = piece.stretch(one.start, one.start if one.end is None else one.end)
        tokens.append(Token(one.text, start, finite(one.logprob, -100.0), None if one.end is None else end))
    cut = list(sentences(tokens))
    for index, sentence in enumerate(cut):
        limit = cut[index + 1][0].start if index + 1 < len(cut) else piece.end
        yield segment(sentence, limit, piece.spans[0][0] // _FRAME, piece.job.request)


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
        prompt=not timed,
        temperature=False,
        hotwords=True,
        detects_language=False,
        neutral=neutral if timed else [*neutral, "avg_logprob"],
    )
