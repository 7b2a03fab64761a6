"""Runs Whisper with MLX on the GPU of a Mac with Apple silicon, from the same files as CTranslate2."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.whisper.backend import CANDIDATES, SEED, Aligned, BackendFacts, Generated
from asrpro_worker.engines.whisper.mlx_model import WhisperModel
from asrpro_worker.engines.whisper.warping import first_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.backend import Encoded, Options
    from asrpro_worker.engines.whisper.mlx_model import State

# Frames in the median filter over the attention: Whisper's number.
_MEDIAN_FRAMES = 7
_ENCODER_BATCH = 8
# MLX caches freed memory. Without a limit, a long file would use up all memory.
_CACHE_BYTES = 512 * 1024 * 1024


@dataclass
class _Search:
    """The unfinished and the finished texts of one piece, with the sums of their log-probabilities."""

    texts: list[list[int]]
    sums: list[float]
    ended: list[tuple[list[int], float]] = field(default_factory=list)


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
        width = CANDIDATES if options.temperature > 0 else options.beam_size
        state = self._model.listen(mx.concatenate(encoded))
        output = self._model.decode(np.array(prompts, np.int32), state)
        no_speech = self._no_speech(output, prompts[0])
        scores = self._scores(self._model.logits(output[:, -1:])[:, 0], options, first=True)
        count = len(encoded)
        # The first step continues one text per piece, all later steps continue `width` texts.
        searches = [_Search([[]], [0.0]) for _ in range(count)]
        open_pieces = list(range(count))
        steps = options.max_tokens - len(prompts[0])
        advance = self._advance_samples if options.temperature > 0 else self._advance_beams
        for step in range(steps):
            rows: list[int] = []
            unfinished: list[int] = []
            at = 0
            chosen = self._choose(scores, [searches[piece] for piece in open_pieces], options, step)
            for place, piece in enumerate(open_pieces):
                search = searches[piece]
                size = len(search.texts)
                kept = advance(search, chosen[place], width, last=step + 1 == steps)
                if search.texts:
                    unfinished.append(place)
                    rows += [at + row for row in kept]
                at += size
            open_pieces = [open_pieces[place] for place in unfinished]
            if not open_pieces:
                break
            state.rows(unfinished, rows)
            tokens = np.array([[text[-1]] for piece in open_pieces for text in searches[piece].texts], np.int32)
            scores = self._scores(self._model.logits(self._model.decode(tokens, state))[:, 0], options, first=False)
        # With broken weights no text may have ended.
        empty: list[tuple[list[int], float]] = [([], -np.inf)]
        best = [max(search.ended or empty, key=lambda text: text[1] / max(1, len(text[0]))) for search in searches]
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

    def _choose(
        self, scores: Any, searches: list[_Search], options: Options, step: int
    ) -> list[list[tuple[int, int, float]]]:
        """The best candidates of each piece: the row of the text to continue, the token and the new sum."""
        rows, vocabulary = scores.shape
        each = rows // len(searches)
        grouped = scores.reshape(len(searches), each, vocabulary)
        if options.temperature > 0:
            # The noise depends on the step only, so a piece gets the same samples whatever pieces are in its batch.
            key = mx.random.key(SEED + 1000 * round(1000 * options.temperature) + step)
            noisy = grouped / options.temperature + mx.random.gumbel((CANDIDATES, vocabulary), key=key)
            tokens = mx.argmax(noisy, axis=-1)
            logprobs = mx.take_along_axis(mx.broadcast_to(grouped, noisy.shape), tokens[..., None], axis=-1)[..., 0]
            mx.eval(tokens, logprobs)
            return [
                [
                    (row if each > 1 else 0, int(token), search.sums[row if each > 1 else 0] + float(score))
                    for row, (token, score) in enumerate(zip(*pair, strict=True))
                ]
                for search, pair in zip(searches, zip(np.array(tokens), np.array(logprobs), strict=True), strict=True)
            ]
        count = 2 * options.beam_size if options.beam_size > 1 else 1
        sums = mx.array(np.array([search.sums for search in searches], np.float32))
        flat = (grouped + sums[..., None]).reshape(len(searches), -1)
        best = (
            mx.argpartition(-flat, count - 1, axis=-1)[:, :count]
            if count > 1
            else mx.argmax(flat, -1, keepdims=True)
        )
        totals = np.array(mx.take_along_axis(flat, best, axis=-1))
        places = np.array(best)
        chosen = []
        for found, total in zip(places, totals, strict=True):
            order = np.argsort(-total, kind="stable")
            chosen.append(
                [(int(found[at]) // vocabulary, int(found[at]) % vocabulary, float(total[at])) for at in order]
            )
        return chosen

    def _advance_beams(
        self, search: _Search, chosen: list[tuple[int, int, float]], width: int, *, last: bool
    ) -> list[int]:
        """Add the candidates to the texts of a beam search; returns the rows of the texts that continue, if any."""
        texts: list[list[int]] = []
        sums: list[float] = []
        rows: list[int] = []
        for place, (row, token, total) in enumerate(chosen):
            if token == self._end:
                if place < width:
                    search.ended.append((search.texts[row], total))
            elif len(texts) < width and np.isfinite(total):
                texts.append([*search.texts[row], token])
                sums.append(total)
                rows.append(row)
        if len(search.ended) >= width or last or not texts:
            search.ended += list(zip(texts, sums, strict=True)) if len(search.ended) < width else []
            texts, sums, rows = [], [], []
        search.texts, search.sums = texts, sums
        return rows

    def _advance_samples(
        self, search: _Search, chosen: list[tuple[int, int, float]], width: int, *, last: bool
    ) -> list[int]:
        """Add a sampled token to each text; returns the rows. A text that has ended keeps its row until all have."""
        texts, sums = [], []
        for row, token, total in chosen[:width]:
            text = search.texts[row]
            done = bool(text) and text[-1] == self._end
            texts.append(text if done else [*text, token])
            sums.append(search.sums[row] if done else total)
        rows = [row for row, _, _ in chosen]
        if last or all(text[-1] == self._end for text in texts):
            search.ended = [
                ([token for token in text if token != self._end], total)
                for text, total in zip(texts, sums, strict=True)
            ]
            texts, sums, rows = [], [], []
        search.texts, search.sums = texts, sums
        return rows

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
