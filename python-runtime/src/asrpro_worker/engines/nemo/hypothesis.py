"""Segments from what NeMo heard in one piece of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from asrpro_worker.engines.measures import ends_sentence, untimed
from asrpro_worker.messages import Word
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.messages import Segment
    from asrpro_worker.piece import Piece

# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100


def segments_of(hypothesis: Any, piece: Piece) -> Iterator[Segment]:
    """The sentences of a hypothesis, as plain data.

    `hypothesis` has `text` and, where NeMo found times, `timestamp["word"]`. Without them the piece is one segment.
    """
    text = " ".join(hypothesis.text.split())
    words = _words(hypothesis, piece)
    # a language without spaces, or a decoder without times
    if " ".join(word.word for word in words) != text:
        words = []
    if not text:
        return
    for sentence in list(_sentences(words)) or [[]]:
        said = " ".join(word.word for word in sentence) or text
        start = sentence[0].start if sentence else piece.start
        end = sentence[-1].end if sentence else piece.end
        made = untimed(f" {said}", start, end, piece.spans[0][0] // _FRAME)
        yield replace(made, words=sentence if piece.job.request.word_timestamps else None)


def _words(hypothesis: Any, piece: Piece) -> list[Word]:
    """In order and inside of the piece: the end of a last token can lie behind the audio."""
    found: list[Word] = []
    timed = hypothesis.timestamp.get("word") if isinstance(hypothesis.timestamp, dict) else None
    last = piece.start
    for entry in timed or []:
        if "start" not in entry:
            # frames only: times were not asked for
            return []
        # numpy scalars, which the wire refuses
        start, end = piece.stretch(float(entry["start"]), float(entry["end"]))
        begin = max(last, start)
        last = max(begin, end)
        if entry["word"].strip():
            found.append(Word(entry["word"].strip(), begin, last, None))
    return found


def _sentences(words: list[Word]) -> Iterator[list[Word]]:
    begin = 0
    for index, word in enumerate(words):
        if ends_sentence(word.word) or index + 1 == len(words):
            yield words[begin : index + 1]
            begin = index + 1
