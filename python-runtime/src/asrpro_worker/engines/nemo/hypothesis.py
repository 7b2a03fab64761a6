"""Converts NeMo's hypothesis for a piece to segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from asrpro_worker.engines.measures import ends_sentence, never_empty, split_after, untimed
from asrpro_worker.messages import Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.messages import Segment
    from asrpro_worker.piece import Piece


def segments_of(hypothesis: Any, piece: Piece) -> Iterator[Segment]:
    """One segment per sentence, or one for the whole piece if times are missing.

    `hypothesis` has `text` and, if NeMo found times, `timestamp["word"]`.
    """
    text = " ".join(hypothesis.text.split())
    words = _words(hypothesis, piece)
    # They differ for a language without spaces, or for a decoder without times.
    if " ".join(word.word for word in words) != text:
        words = []
    if not text:
        return
    for sentence in list(split_after(words, lambda at: ends_sentence(words[at].word))) or [[]]:
        sentence_text = " ".join(word.word for word in sentence) or text
        start = sentence[0].start if sentence else piece.start
        end = sentence[-1].end if sentence else piece.end
        segment = untimed(f" {sentence_text}", start, end, piece.seek)
        yield replace(segment, words=list(sentence) if piece.job.request.word_timestamps else None)


def _words(hypothesis: Any, piece: Piece) -> list[Word]:
    """The words in order, with times within the piece; NeMo may report an end after the audio."""
    timed = hypothesis.timestamp.get("word") if isinstance(hypothesis.timestamp, dict) else None
    entries = [entry for entry in timed or [] if entry["word"].strip()]
    if any("start" not in entry for entry in entries):
        # NeMo returned frames only, because times were not requested.
        return []
    # Converted from NumPy scalars, which cannot be sent.
    spans = [piece.file_times(float(entry["start"]), float(entry["end"])) for entry in entries]
    return [
        Word(entry["word"].strip(), start, end, None)
        for entry, (start, end) in zip(entries, never_empty(spans, piece.start, piece.end), strict=True)
    ]
