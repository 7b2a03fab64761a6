"""Whisper by MLX, on the GPU of a Mac with Apple silicon, from the files that CTranslate2 has."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.whisper.backend import Aligned, BackendFacts, Generated
from asrpro_worker.engines.whisper.mlx_model import WhisperModel
from asrpro_worker.engines.whisper.warping import first_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.whisper.backend import Encoded, Options
    from asrpro_worker.engines.whisper.mlx_model import State

# Texts that are drawn for a temperature, of which the most probable is taken: as with CTranslate2.
_DRAWN = 5
_SEED = 0
# Frames over which the attention is smoothed: Whisper's number.
_SMOOTHED = 7
_TOGETHER = 8
# MLX keeps what it frees; without a limit a long file would take all of the memory.
_KEPT_BYTES = 512 * 1024 * 1024


@dataclass
class _Search:
    """The texts of one piece that are being written, and those that have ended, with the sums of their scores."""

    texts: list[list[int]]
    sums: list[float]
    ended: list[tuple[list[int], float]] = field(default_factory=list)


class MlxBackend:
    """A model directory. The encoder's output of a piece is an array of shape (1, 1500, width)."""

    def __init__(self, path: Path, compute_type: str) -> None:
        mx.set_cache_limit(_KEPT_BYTES)
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
        # CTranslate2's criterion: the vocabulary of the English models lacks the empty token.
        return BackendFacts("" in self._vocabulary, self._model.mels, self._compute_type, _TOGETHER)

    def encode(self, features: list[NDArray[np.float32]]) -> list[Encoded]:
        """See Backend."""
        output = self._model.encode(mx.array(np.stack(features)))
        pieces = [output[at : at + 1] for at in range(len(features))]
        mx.eval(pieces)
        return pieces

    def generate(self, encoded: list[Encoded], prompts: list[list[int]], options: Options) -> list[Generated]:
        """See Backend. Beam search with CTranslate2's rules, or texts drawn at random."""
        if not encoded:
            return []
        width = _DRAWN if options.temperature > 0 else options.beam_size
        state = self._model.listen(mx.concatenate(encoded))
        output = self._model.decode(np.array(prompts, np.int32), state)
        silence = self._silence(output, prompts[0])
        scores = self._scores(self._model.logits(output[:, -1:])[:, 0], options, first=True)
        count = len(encoded)
        # The first step goes on from one text a piece, all others from `width`.
        searches = [_Search([[]], [0.0]) for _ in range(count)]
        open_pieces = list(range(count))
        most = options.most_tokens - len(prompts[0])
        for step in range(most):
            rows: list[int] = []
            going: list[int] = []
            at = 0
            chosen = self._choose(scores, [searches[piece] for piece in open_pieces], options, step)
            for place, piece in enumerate(open_pieces):
                search = searches[piece]
                size = len(search.texts)
                kept = self._go_on(search, chosen[place], width, last=step + 1 == most, draws=options.temperature > 0)
                if search.texts:
                    going.append(place)
                    rows += [at + row for row in kept]
                at += size
            open_pieces = [open_pieces[place] for place in going]
            if not open_pieces:
                break
            state.rows(going, rows)
            tokens = np.array([[text[-1]] for piece in open_pieces for text in searches[piece].texts], np.int32)
            scores = self._scores(self._model.logits(self._model.decode(tokens, state))[:, 0], options, first=False)
        # Weights that are broken find nothing probable.
        nothing: list[tuple[list[int], float]] = [([], -np.inf)]
        found = [max(search.ended or nothing, key=lambda one: one[1] / max(1, len(one[0]))) for search in searches]
        return [
            Generated(tokens, finite(total / (len(tokens) + 1), -100.0), finite(no_speech))
            for (tokens, total), no_speech in zip(found, silence, strict=True)
        ]

    def align(
        self, encoded: list[Encoded], start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Aligned | None]:
        """See Backend. One piece after the other: their texts differ in length."""
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

    def _silence(self, output: Any, prompt: list[int]) -> list[float]:
        """How probable the model finds it that nobody speaks, asked where the text's commands begin."""
        if self._silent is None:
            return [0.0] * output.shape[0]
        likely = mx.softmax(self._model.logits(output[:, prompt.index(self._begin)]), axis=-1)
        return [float(one) for one in np.array(likely[:, self._silent])]

    def _scores(self, logits: Any, options: Options, *, first: bool) -> Any:
        silenced = [*self._model.config.get("suppress_ids", []), *options.silenced]
        if first:
            silenced += self._model.config.get("suppress_ids_begin", [])
        barred = np.zeros(logits.shape[-1], np.float32)
        barred[[token for token in silenced if token < len(barred)]] = -np.inf
        masked = logits + mx.array(barred)
        return masked - mx.logsumexp(masked, axis=-1, keepdims=True)

    def _choose(
        self, scores: Any, searches: list[_Search], options: Options, step: int
    ) -> list[list[tuple[int, int, float]]]:
        """For each piece its best candidates: the row of the text it goes on from, the token and the sum of scores."""
        rows, vocabulary = scores.shape
        each = rows // len(searches)
        grouped = scores.reshape(len(searches), each, vocabulary)
        if options.temperature > 0:
            # The noise depends on the step and not on the piece, so that a piece draws the same whatever is beside it.
            key = mx.random.key(_SEED + 1000 * round(1000 * options.temperature) + step)
            drawn = grouped / options.temperature + mx.random.gumbel((_DRAWN, vocabulary), key=key)
            tokens = mx.argmax(drawn, axis=-1)
            taken = mx.take_along_axis(mx.broadcast_to(grouped, drawn.shape), tokens[..., None], axis=-1)[..., 0]
            mx.eval(tokens, taken)
            return [
                [
                    (row if each > 1 else 0, int(token), search.sums[row if each > 1 else 0] + float(score))
                    for row, (token, score) in enumerate(zip(*pair, strict=True))
                ]
                for search, pair in zip(searches, zip(np.array(tokens), np.array(taken), strict=True), strict=True)
            ]
        wanted = 2 * options.beam_size if options.beam_size > 1 else 1
        sums = mx.array(np.array([search.sums for search in searches], np.float32))
        flat = (grouped + sums[..., None]).reshape(len(searches), -1)
        best = (
            mx.argpartition(-flat, wanted - 1, axis=-1)[:, :wanted]
            if wanted > 1
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

    def _go_on(
        self, search: _Search, chosen: list[tuple[int, int, float]], width: int, *, last: bool, draws: bool
    ) -> list[int]:
        """Write the candidates down; the rows of the texts that go on. A piece has ended where no text is left."""
        if draws:
            return self._draw_on(search, chosen, last=last)
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

    def _draw_on(self, search: _Search, chosen: list[tuple[int, int, float]], *, last: bool) -> list[int]:
        """Each text goes on by itself. One that has ended keeps its row until all have ended."""
        before = search.texts if len(search.texts) == len(chosen) else search.texts * len(chosen)
        old = search.sums if len(search.sums) == len(chosen) else search.sums * len(chosen)
        rows = [row for row, _, _ in chosen]
        texts, sums = [], []
        for text, total, (_, token, longer) in zip(before, old, chosen, strict=True):
            done = bool(text) and text[-1] == self._end
            texts.append(text if done else [*text, token])
            sums.append(total if done else longer)
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
        told = mx.softmax(self._model.logits(output[0, len(start) : -2])[:, : self._end], axis=-1)
        probabilities = mx.take_along_axis(told, mx.array(text)[:, None], axis=-1)[:, 0]
        heads = mx.stack([attention[layer][0, head] for layer, head in self._model.alignment_heads])
        weights = mx.softmax(heads[:, :, :frames], axis=-1)
        mean, deviation = weights.mean(axis=1, keepdims=True), mx.sqrt(mx.var(weights, axis=1, keepdims=True))
        smooth = _median((weights - mean) / deviation).mean(axis=0)
        cost = -np.array(smooth[len(start) : -1])
        return Aligned(first_frames(cost), [finite(one) for one in np.array(probabilities).tolist()])


def _median(x: Any) -> Any:
    """Over the last axis, mirrored at both ends."""
    half = _SMOOTHED // 2
    length = x.shape[-1]
    if length <= half:
        return x
    before, behind = mx.arange(half, 0, -1), mx.arange(length - 2, length - 2 - half, -1)
    padded = mx.concatenate([x[..., before], x, x[..., behind]], axis=-1)
    windows = mx.stack([padded[..., at : at + length] for at in range(_SMOOTHED)], axis=-1)
    return mx.sort(windows, axis=-1)[..., half]


def _vocabulary(path: Path) -> list[str]:
    file = path / "vocabulary.json"
    if file.exists():
        return list(json.loads(file.read_text(encoding="utf-8")))
    return (path / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
