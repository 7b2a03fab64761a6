"""Runs Whisper with CTranslate2, on the CPU or an NVIDIA GPU."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ctranslate2
import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.whisper.backend import CANDIDATES, SEED, Aligned, BackendFacts, Generated

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.backend import Encoded, Options

# With more threads per call, the threads wait for each other.
_THREADS_PER_CALL = 4
# The least number of parallel calls on a CPU with more than one thread. Beam search on two threads uses 1.4 cores, and
# a second batch uses the rest: on two cores, whisper-base took 0.76 and 0.79 of the time of one batch of twice the
# size, in two pairs of runs.
_MIN_CALLS = 2


class CTranslate2Backend:
    """Reads a model directory. The encoder's output is a NumPy array of shape (1, up to 1500, width)."""

    def __init__(self, path: Path, device: str, compute_type: str, threads: int, *, aligns: bool = True) -> None:
        self._aligns = aligns
        kind, _, index = device.partition(":")
        self._on_cpu = kind == "cpu"
        full = max(1, threads // _THREADS_PER_CALL)
        self._calls = max(full, min(threads, _MIN_CALLS)) if self._on_cpu else 1
        # The encoder keeps all threads of a call busy, so more encodes than that at once only need more memory: 90 MB
        # each with whisper-base. On two cores, one at a time took 0.92 of the time, in one pair of runs.
        self._encodes = threading.BoundedSemaphore(full)
        # Before the model, which creates its threads: each thread reads the seed only at its first sampling.
        ctranslate2.set_random_seed(SEED)
        self._model = ctranslate2.models.Whisper(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            intra_threads=max(1, threads // full),
            inter_threads=self._calls,
        )

    def facts(self) -> BackendFacts:
        """See Backend. On the CPU the encoder gains nothing from a batch, and attention needs 70 MB per piece."""
        return BackendFacts(
            multilingual=self._model.is_multilingual,
            mels=self._model.n_mels,
            compute_type=self._model.compute_type,
            encoder_batch=1 if self._on_cpu else 8,
            calls=self._calls,
            any_length=True,
            aligns=self._aligns,
        )

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """See Backend."""
        with self._encodes:
            output = self._model.encode(ctranslate2.StorageView.from_array(np.stack(features)), to_cpu=True)
        if "bfloat16" in self._model.compute_type:
            # NumPy has no bfloat16. CTranslate2 converts float32 input itself.
            output = output.to(ctranslate2.DataType.float32)
        whole = np.asarray(output)
        return [whole[at : at + 1].copy() for at in range(len(features))]

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """See Backend."""
        search: dict[str, Any] = {"beam_size": options.beam_size}
        if options.temperature > 0:
            search = {"beam_size": 1, "num_hypotheses": CANDIDATES, "sampling_topk": 0}
            search["sampling_temperature"] = options.temperature

        results = self._model.generate(
            _joined(encoded),
            prompts,
            max_length=options.max_tokens,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1, *options.suppressed],
            **search,
        )
        return [_generated(result) for result in results]

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """See Backend. Without alignment heads in config.json CTranslate2 raises an error, and then fails for ever."""
        if not self._aligns:
            return [None] * len(texts)
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
    # The score is the mean over the tokens without the end token.
    logprob = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
    return Generated(tokens, finite(logprob, -100.0), finite(result.no_speech_prob))


def _aligned(result: Any, count: int) -> Aligned | None:
    """The result of dynamic time warping, pairs of token and frame. A token begins at its first pair."""
    pairs = np.asarray(result.alignments, int).reshape(-1, 2)
    tokens, first = np.unique(pairs[:, 0], return_index=True)
    if len(tokens) < count + 1:
        return None
    starts = pairs[first, 1].tolist()
    return Aligned(starts[: count + 1], [finite(probability) for probability in result.text_token_probs])
