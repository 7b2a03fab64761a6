"""Runs Whisper with MLX on the GPU of a Mac with Apple silicon, from the same files as CTranslate2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.whisper.backend import Aligned, BackendFacts, Generated
from asrpro_worker.engines.whisper.mlx_model import WhisperModel
from asrpro_worker.engines.whisper.mlx_search import Search, beam_candidates, sampled_candidates
from asrpro_worker.engines.whisper.warping import first_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.backend import Encoded, Options
    from asrpro_worker.engines.whisper.mlx_model import State
    from asrpro_worker.engines.whisper.mlx_search import Candidate

# Frames in the median filter over the attention: Whisper's number.
_MEDIAN_FRAMES = 7
_ENCODER_BATCH = 8
# MLX caches freed memory. Without a limit, a long file would use up all memory.
_CACHE_BYTES = 512 * 1024 * 1024


class MlxBackend:
    """Reads a model directory. The encoder's output of a piece is an MLX array of shape (1, 1500, width)."""

    def __init__(self, path: Path, compute_type: str) -> None:
        mx.set_cache_limit(_CACHE_BYTES)
        self._compute_type = compute_type
        self._model = WhisperModel(path, {"float16": mx.float16, "float32": mx.float32}[compute_type])
        self._vocabulary = _vocabulary(path)
        self._end = self._vocabulary.index("<|endoftext|>")
        self._begin = self._vocabulary.index("<|startoftranscript|>")
        self._untimed = self._vocabulary.index("<|notimestamps|>")
        silent = next((name for name in ("<|nospeech|>", "<|nocaptions|>") if name in self._vocabulary), None)
        self._silent = None if silent is None else self._vocabulary.index(silent)

    def facts(self) -> BackendFacts:
        """See Backend."""
        # CTranslate2's criterion: the vocabulary of English-only models lacks the empty token.
        return BackendFacts("" in self._vocabulary, self._model.mels, self._compute_type, _ENCODER_BATCH)

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """See Backend."""
        output = self._model.encode(mx.array(np.stack(features)))
        pieces = [output[at : at + 1] for at in range(len(features))]
        mx.eval(pieces)
        return pieces

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """See Backend. Beam search with CTranslate2's rules, or sampling."""
        if not encoded:
            return []
        state = self._model.listen(mx.concatenate(encoded))
        output = self._model.decode(np.array(prompts, np.int32), state)
        no_speech = self._no_speech(output, prompts[0])
        scores = self._scores(self._model.logits(output[:, -1:])[:, 0], options, first=True)
        searches = [Search() for _ in encoded]
        unfinished = searches
        # CTranslate2's limits. A text without the second one can go past the table of positions when it is aligned.
        steps = min(options.max_tokens - len(prompts[0]), options.max_tokens // 2)
        for step in range(steps):
            candidates = _candidates(scores, unfinished, options, step)
            rows: list[int] = []
            kept: list[int] = []
            at = 0
            for place, (search, found) in enumerate(zip(unfinished, candidates, strict=True)):
                size = len(search.texts)
                continued = self._advance(search, found, options, last=step + 1 == steps)
                if search.texts:
                    kept.append(place)
                    rows += [at + row for row in continued]
                at += size
            unfinished = [unfinished[place] for place in kept]
            if not unfinished:
                break
            state.rows(kept, rows)
            tokens = np.array([[text[-1]] for search in unfinished for text in search.texts], np.int32)
            scores = self._scores(self._model.logits(self._model.decode(tokens, state))[:, 0], options, first=False)
        best = [search.best() for search in searches]
        return [
            Generated(tokens, finite(total / (len(tokens) + 1), -100.0), finite(probability))
            for (tokens, total), probability in zip(best, no_speech, strict=True)
        ]

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """See Backend. Pieces are aligned one by one, because their texts differ in length."""
        return [
            self._align(self._model.listen(one), start, text, count // 2)
            for one, text, count in zip(encoded, texts, frames, strict=True)
        ]

    def detect_language(self, encoded: list[Encoded]) -> list[dict[str, float]]:
        """See Backend."""
        state = self._model.listen(mx.concatenate(encoded))
        output = self._model.decode(np.full((len(encoded), 1), self._begin, np.int32), state)
        known: list[int] = self._model.config["lang_ids"]
        likely = np.array(mx.softmax(self._model.logits(output)[:, 0, mx.array(known)], axis=-1))
        names = [self._vocabulary[token][2:-2] for token in known]
        return [{names[at]: finite(row[at]) for at in np.argsort(-row)} for row in likely]

    def _no_speech(self, output: Any, prompt: list[int]) -> list[float]:
        """The no-speech probability of each piece, read at the first command of the prompt."""
        if self._silent is None:
            return [0.0] * output.shape[0]
        likely = mx.softmax(self._model.logits(output[:, prompt.index(self._begin)]), axis=-1)
        return [float(one) for one in np.array(likely[:, self._silent])]

    def _scores(self, logits: Any, options: Options, *, first: bool) -> Any:
        suppressed = [*self._model.config.get("suppress_ids", []), *options.suppressed]
        if first:
            suppressed += self._model.config.get("suppress_ids_begin", [])
        mask = np.zeros(logits.shape[-1], np.float32)
        mask[[token for token in suppressed if token < len(mask)]] = -np.inf
        masked = logits + mx.array(mask)
        return masked - mx.logsumexp(masked, axis=-1, keepdims=True)

    def _advance(self, search: Search, found: list[Candidate], options: Options, *, last: bool) -> list[int]:
        if options.temperature > 0:
            return search.add_samples(found, self._end, last=last)
        return search.add_beams(found, options.beam_size, self._end, last=last)

    def _align(self, state: State, start: list[int], text: list[int], frames: int) -> Aligned | None:
        if not text or frames < 1:
            return None
        tokens = [*start, self._untimed, *text, self._end]
        attention: list[Any] = []
        output = self._model.decode(np.array([tokens], np.int32), state, attention)
        likely = mx.softmax(self._model.logits(output[0, len(start) : -2])[:, : self._end], axis=-1)
        probabilities = mx.take_along_axis(likely, mx.array(text)[:, None], axis=-1)[:, 0]
        heads = mx.stack([attention[layer][0, head] for layer, head in self._model.alignment_heads])
        weights = mx.softmax(heads[:, :, :frames], axis=-1)
        mean, deviation = weights.mean(axis=1, keepdims=True), mx.sqrt(mx.var(weights, axis=1, keepdims=True))
        smooth = _median((weights - mean) / deviation).mean(axis=0)
        cost = -np.array(smooth[len(start) : -1])
        return Aligned(first_frames(cost), [finite(one) for one in np.array(probabilities).tolist()])


def _candidates(scores: Any, searches: list[Search], options: Options, step: int) -> list[list[Candidate]]:
    if options.temperature > 0:
        return sampled_candidates(scores, searches, options.temperature, step)
    return beam_candidates(scores, searches, options.beam_size)


def _median(x: Any) -> Any:
    """Median filter along the last axis, mirrored at both ends."""
    half = _MEDIAN_FRAMES // 2
    length = x.shape[-1]
    if length <= half:
        return x
    before, after = mx.arange(half, 0, -1), mx.arange(length - 2, length - 2 - half, -1)
    padded = mx.concatenate([x[..., before], x, x[..., after]], axis=-1)
    windows = mx.stack([padded[..., at : at + length] for at in range(_MEDIAN_FRAMES)], axis=-1)
    return mx.sort(windows, axis=-1)[..., half]


def _vocabulary(path: Path) -> list[str]:
    file = path / "vocabulary.json"
    if file.exists():
        return list(json.loads(file.read_text(encoding="utf-8")))
    return (path / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
