"""Transducers and CTC models by onnx-asr: a time and a probability for each token."""

# ruff: noqa: SLF001 - the library has no public way to these parts; its version is locked, and tests compare the results

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asrpro_worker.engines.measures import finite
from asrpro_worker.engines.onnx.choosing import Choice, hear
from asrpro_worker.engines.onnx.token_times import Token, segment, sentences
from asrpro_worker.engines.phrases import Phrases
from asrpro_worker.engines.scripts import foreign
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.engines.onnx.choosing import Chosen
    from asrpro_worker.messages import Segment
    from asrpro_worker.piece import Outcome, Piece

# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100


class Timed:
    """A loaded Parakeet, FastConformer or GigaAM."""

    def __init__(self, asr: Any) -> None:
        self._asr = asr
        # Of the last request only: one file has many pieces.
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._foreign: dict[tuple[str, ...], NDArray[np.int64]] = {}

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        alive()
        heard = hear(self._asr, [piece.samples for piece in pieces], [self._choice(piece) for piece in pieces])
        return [
            Heard(list(_sentences(piece, chosen)), piece.language) for piece, chosen in zip(pieces, heard, strict=True)
        ]

    def _choice(self, piece: Piece) -> Choice:
        vocabulary, request = self._asr._vocab, piece.job.request
        wanted = tuple(request.hotwords)
        if wanted and wanted not in self._phrases:
            self._phrases = {wanted: Phrases(wanted, vocabulary)}
        languages = tuple([piece.language] if piece.language else request.languages or [])
        if languages not in self._foreign:
            self._foreign = {languages: np.array(foreign(vocabulary.items(), languages), np.int64)}
        return Choice(self._phrases.get(wanted), self._foreign[languages], self._asr._blank_idx)


def _sentences(piece: Piece, heard: list[Chosen]) -> Iterator[Segment]:
    tokens = []
    for one in heard:
        start, end = piece.stretch(one.start, one.start if one.end is None else one.end)
        tokens.append(Token(one.text, start, finite(one.logprob, -100.0), None if one.end is None else end))
    cut = list(sentences(tokens))
    for index, sentence in enumerate(cut):
        limit = cut[index + 1][0].start if index + 1 < len(cut) else piece.end
        yield segment(sentence, limit, piece.spans[0][0] // _FRAME, piece.job.request)
