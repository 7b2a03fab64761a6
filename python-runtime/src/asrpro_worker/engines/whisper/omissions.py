"""Finds speech that a text omits: without timestamps Whisper skips sentences, mostly where the speaker changes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from asrpro_worker.piece import Piece

# A text with fewer letters per second of speech may omit something: texts that did had up to 17.2.
_MIN_LETTERS_PER_SECOND = 18.0
# A text omits something if a single token spans this many seconds of speech. Measured: at most 1.2 s in complete texts,
# at least 2.1 s in others.
_MAX_TOKEN_SPEECH = 1.8
# It also does if an utterance of at least this many seconds has no more than one token per second.
_MIN_UTTERANCE = 0.6
_MAX_TOKENS_PER_SECOND = 1.0
# Accuracy of an alignment in seconds.
_ALIGNMENT_ERROR = 0.2
# Characters from this one on stand for syllables or words, and count as three letters.
_FIRST_SYLLABLE = "\u2e80"
_LETTERS_PER_SYLLABLE = 3
# How often a piece is split for omissions, and how many seconds from the omission a pause is searched.
_MAX_CUTS = 4
_SEARCH_RANGE = 1.0


def is_sparse(piece: Piece, text: str) -> bool:
    """True if the text has so few letters per second of speech that it may omit something."""
    if piece.cuts >= _MAX_CUTS or piece.job.request.task == "translate":
        return False
    text = text.strip()
    letters = len(text) + (_LETTERS_PER_SYLLABLE - 1) * sum(letter >= _FIRST_SYLLABLE for letter in text)
    return piece.spoken() > _MAX_TOKEN_SPEECH and letters < _MIN_LETTERS_PER_SECOND * piece.spoken()


def split_at_gap(piece: Piece, starts: list[float]) -> list[Piece]:
    """Split the piece at the token that spans the most speech; empty if no token spans too much.

    `starts`: the start of each token in seconds of the piece.
    """
    length = len(piece.samples) / RATE
    gaps = [(piece.spoken(start, end), start, end) for start, end in itertools.pairwise([0.0, *starts, length])]
    speech, start, end = max(gaps)
    if speech < _MAX_TOKEN_SPEECH:
        return []
    if end - start > length - _SEARCH_RANGE:
        return piece.halves()
    edge = min(start, end, key=lambda moment: abs(moment - length / 2))
    return piece.cut(max(0.0, edge - _SEARCH_RANGE), min(length, edge + _SEARCH_RANGE))


def split_at_missing_utterance(piece: Piece, starts: list[float]) -> list[Piece]:
    """Split the piece in the longer pause beside an utterance in which hardly a word begins; empty if there is none.

    `starts`: the start of each word token in seconds of the piece.
    """
    spans = piece.utterances()
    for at, (start, end) in enumerate(spans):
        # The first token starts with the piece, before the speech.
        earliest = start - _ALIGNMENT_ERROR if at else 0.0
        tokens = sum(earliest <= token < end for token in starts)
        seconds = piece.spoken(start, end)
        if len(spans) == 1 or seconds < _MIN_UTTERANCE or tokens > _MAX_TOKENS_PER_SECOND * seconds:
            continue
        pauses = [(before[1], after[0]) for before, after in itertools.pairwise(spans[max(0, at - 1) : at + 2])]
        return piece.cut(*max(pauses, key=lambda pause: pause[1] - pause[0]))
    return []
