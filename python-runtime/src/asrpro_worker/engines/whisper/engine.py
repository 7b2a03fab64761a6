"""The engine `faster-whisper`: loads a Whisper directory and reports its features."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np

from asrpro_worker.machine import has_fast_avx512

# CTranslate2 reads this at import. It uses AVX2 on all AMD processors; AVX-512 makes the encoder 4 to 7 % faster.
if has_fast_avx512():
    os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")

from asrpro_worker.engines.protocol import Facts
from asrpro_worker.engines.whisper import devices
from asrpro_worker.engines.whisper.backend import Backend, Options
from asrpro_worker.engines.whisper.ctranslate2_backend import CTranslate2Backend
from asrpro_worker.engines.whisper.decoding import Decoder
from asrpro_worker.engines.whisper.features import FRAMES
from asrpro_worker.engines.whisper.files import check_directory, load_error
from asrpro_worker.engines.whisper.tokens import Tokens
from asrpro_worker.errors import WorkerError
from asrpro_worker.machine import batch_size, thread_count
from asrpro_worker.messages import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.whisper.files import WhisperDirectory
    from asrpro_worker.messages import Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece


class Whisper:
    """Whisper in CTranslate2 format, run by CTranslate2 or, on the GPU of a Mac, by MLX."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. On the CPU, `compute_type` auto is int8; float16 would become float32 there."""
        directory = check_directory(request.model.path)
        device = devices.resolve(request.device)
        threads = thread_count(request.threads)
        phase("weights")
        try:
            compute_type = devices.resolve_compute_type(device, request.compute_type)
            backend = _backend(directory, device, compute_type, threads)
            facts = backend.facts()
            directory.check_mels(facts.mels)
            tokens = Tokens(directory.path / "tokenizer.json", multilingual=facts.multilingual)
            phase("warm-up")
            width = _warm_up(backend, tokens)
        except WorkerError:
            raise
        except Exception as error:
            raise load_error(error) from error
        self._decoder = Decoder(backend, tokens)
        languages = _languages(tokens, request.model.languages) if facts.multilingual else ["en"]
        # Turbo and distilled models transcribe when they should translate.
        translates = facts.multilingual and not directory.is_shortened(facts.mels)
        pieces = batch_size(request.concurrency, threads, directory.bytes_per_piece(width))
        calls = min(facts.calls, pieces)
        return Facts(
            device=device,
            compute_type=facts.compute_type,
            threads=threads,
            batch=pieces // calls,
            in_flight=lambda: calls,
            languages=languages,
            capabilities=Capabilities(
                tasks=["transcribe", "translate"] if translates else ["transcribe"],
                word_timestamps=facts.aligns,
                # CTranslate2 reports the score of a text, not of its tokens.
                logprobs=False,
                prompt=True,
                temperature=True,
                hotwords=True,
                detects_language=len(languages) > 1,
                neutral=[],
            ),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        if self._decoder is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        return self._decoder.decode(pieces, alive)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)


create = Whisper


def _backend(directory: WhisperDirectory, device: str, compute_type: str, threads: int) -> Backend:
    if device == "mps":
        # MLX is installed on Macs only.
        from asrpro_worker.engines.whisper.mlx_backend import MlxBackend

        return MlxBackend(directory.path, compute_type)
    aligns = bool(directory.alignment_layers)
    return CTranslate2Backend(directory.path, device, compute_type, threads, aligns=aligns)


def _warm_up(backend: Backend, tokens: Tokens) -> int:
    """Run silence through encoder and decoder, so that a missing cuBLAS or a wrong file fails here, not in a request.

    Returns the width of the model.
    """
    facts = backend.facts()
    encoded = backend.encode([np.zeros((facts.mels, FRAMES), np.float32)])
    language = tokens.languages()[0] if facts.multilingual else None
    prompt = [*tokens.start(language, "transcribe"), tokens.untimed]
    backend.generate(encoded, [prompt], Options(beam_size=1, temperature=0.0, max_tokens=len(prompt) + 4))
    return int(encoded[0].shape[-1])


def _languages(tokens: Tokens, stated: list[str] | None) -> list[str]:
    """The model's languages: those of the catalogue that its vocabulary knows, because older ones lack some."""
    known = sorted(tokens.languages())
    return [code for code in known if stated is None or code in stated] or known
