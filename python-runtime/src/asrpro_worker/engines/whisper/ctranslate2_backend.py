"""Whisper by CTranslate2, on the CPU or an NVIDIA GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctranslate2
import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.whisper.backend import Aligned, BackendFacts, Generated

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.backend import Encoded, Options

# Texts that are drawn for a temperature, of which the most probable is taken: faster-whisper's number.
_DRAWN = 5
# More threads than this in one call wait for each other.
_THREADS_PER_CALL = 4
# Calls at a time on a CPU with more than one thread, at least. Beam search keeps two threads busy for 1.4 of two
# seconds, and a second batch fills the gaps: on two cores, whisper-base takes 0.74 to 0.79 of the time that one batch
# of twice the size takes.
_LEAST_CALLS = 2
_SEED = 0


class CTranslate2Backend:
    """A model directory. The encoder's output lies in the machine's memory as an array of shape (1, 1500, width)."""

    def __init__(self, path: Path, device: str, compute_type: str, threads: int) -> None:
        kind, _, index = device.partition(":")
        self._on_cpu = kind == "cpu"
        full = max(1, threads // _THREADS_PER_CALL)
        self._calls = max(full, min(threads, _LEAST_CALLS)) if self._on_cpu else 1
        # Counts for threads that have not drawn yet, and these are made with the model.
        ctranslate2.set_random_seed(_SEED)
        self._model = ctranslate2.models.Whisper(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            intra_threads=max(1, threads // full),
            inter_threads=self._calls,
        )

    def facts(self) -> BackendFacts:
        """See Backend.

        On the CPU the encoder gains nothing from a batch, and its attention takes 70 MB a piece.
        """
        return BackendFacts(
            multilingual=self._model.is_multilingual,
            mels=self._model.n_mels,
            compute_type=self._model.compute_type,
            together=1 if self._on_cpu else 8,
            calls=self._calls,
            any_length=True,
        )

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """See Backend."""
        output = self._model.encode(ctranslate2.StorageView.from_array(np.stack(features)), to_cpu=True)
        if "bfloat16" in self._model.compute_type:
            # numpy has no such numbers; CTranslate2 takes float32 and converts it
            output = output.to(ctranslate2.DataType.float32)
        whole = np.asarray(output)
        return [whole[at : at + 1].copy() for at in range(len(features))]

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """See Backend."""
        search: dict[str, Any] = {"beam_size": options.beam_size}
        if options.temperature > 0:
            search = {"beam_size": 1, "num_hypotheses": _DRAWN, "sampling_topk": 0}
            search["sampling_temperature"] = options.temperature

        results = self._model.generate(
            _joined(encoded),
            prompts,
            max_length=options.most_tokens,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1, *options.silenced],
            **search,
        )
        return [_generated(result) for result in results]

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """See Backend."""
        results = self._model.align(_joined(encoded), start, texts, frames)
        return [_aligned(result, len(text)) for result, text in zip(results, texts, strict=True)]

    def detect_language(self, encoded: list[Encoded]) -> list[dict[str, float]]:
        """See Backend."""
        found = self._model.detect_language(_joined(encoded))
        return [{command[2:-2]: float(probability) for command, probability in likely} for likely in found]


def _joined(encoded: list[Encoded]) -> Any:
    return ctranslate2.StorageView.from_array(np.concatenate(encoded))


def _generated(result: Any) -> Generated:
    tokens = [int(token) for token in result.sequences_ids[0]]
    # The score is the mean of the tokens alone.
    logprob = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
    return Generated(tokens, finite(logprob, -100.0), finite(result.no_speech_prob))


def _aligned(result: Any, count: int) -> Aligned | None:
    """Dynamic time warping as pairs of token and frame; a token begins where it is first named."""
    pairs = np.asarray(result.alignments, int).reshape(-1, 2)
    named, first = np.unique(pairs[:, 0], return_index=True)
    if len(named) < count + 1:
        return None
    starts = pairs[first, 1].tolist()
    return Aligned(starts[: count + 1], [finite(probability) for probability in result.text_token_probs])
