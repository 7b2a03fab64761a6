"""Speech that a text leaves out: without time marks Whisper skips sentences, mostly where voices change in a piece."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from asrpro_worker.piece import Piece

# A text with fewer letters for each second of speech may have left something out: measured up to 17.2 where it had. It
# has where so many seconds of speech lie in one of its tokens: measured 1.2 and less where it had not, 2.1 and more.
_FEW_LETTERS = 18.0
_LOST = 1.8
# It has, too, where an utterance of so many seconds has hardly a token to each of them.
_UTTERANCE = 0.6
_FEW_TOKENS = 1.0
# Alignments are right to so many seconds.
_EXACT = 0.2
# A character of the scripts behind this one stands for a syllable or a word, and for so many letters.
_SYLLABLES = "\u2e80"
_LETTERS = 3
# So often a piece is cut where something is left out, and so far from there a pause is looked for.
_MOST_CUTS = 4
_NEAR = 1.0


def is_sparse(piece: Piece, text: str) -> bool:
    """Does the text have so few letters for its speech that it may have left something out?"""
    if piece.cuts >= _MOST_CUTS or piece.job.request.task == "translate":
        return False
    said = text.strip()
    letters = len(said) + (_LETTERS - 1) * sum(letter >= _SYLLABLES for letter in said)
    return piece.spoken() > _LOST and letters < _FEW_LETTERS * piece.spoken()


def at_hole(piece: Piece, tokens: list[float]) -> list[Piece]:
    """Two pieces, cut at the token with the most speech, if that is too much; `tokens` begin at these moments."""
    length = len(piece.samples) / RATE
    holes = [(piece.spoken(start, end), start, end) for start, end in itertools.pairwise([0.0, *tokens, length])]
    lost, start, end = max(holes)
    if lost < _LOST:
        return []
    if end - start > length - _NEAR:
        return piece.halves()
    edge = min(start, end, key=lambda moment: abs(moment - length / 2))
    return piece.cut(max(0.0, edge - _NEAR), min(length, edge + _NEAR))


def at_unsaid(piece: Piece, tokens: list[float]) -> list[Piece]:
    """Two pieces, cut in the longer pause beside an utterance in which none of these words begins."""
    spans = piece.utterances()
    for at, (start, end) in enumerate(spans):
        # The first token begins with the piece, before its speech.
        earliest = start - _EXACT if at else 0.0
        said = sum(earliest <= moment < end for moment in tokens)
        seconds = piece.spoken(start, end)
        if len(spans) == 1 or seconds < _UTTERANCE or said > _FEW_TOKENS * seconds:
            continue
        pauses = [(before[1], after[0]) for before, after in itertools.pairwise(spans[max(0, at - 1) : at + 2])]
        return piece.cut(*max(pauses, key=lambda pause: pause[1] - pause[0]))
    return []
