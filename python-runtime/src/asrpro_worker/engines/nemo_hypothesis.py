"""Segments from what NeMo heard in one piece of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asrpro_worker.engines.token_times import compression_ratio
from asrpro_worker.messages import Segment, Word
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrpro_worker.messages import Transcribe

_SENTENCE_END = (".", "?", "!")
# Samples in one frame of `seek`, 10 ms.
_FRAME = RATE // 100


def segments_of(hypothesis: Any, start: int, stop: int, number: int, request: Transcribe) -> Iterator[Segment]:
    """The sentences of a hypothesis for the samples [start, stop), as plain data and counted from `number`.

    `hypothesis` has `text` and, where NeMo found times, `timestamp["word"]`. Without them the piece is one segment. A
    last token can end behind the audio: no time lies outside of the piece.
    """
    text = hypothesis.text.strip()
    words = _words(hypothesis, start / RATE, stop / RATE)
    # a language without spaces, or a decoder without times
    if " ".join(word.word for word in words) != text:
        words = []
    if not text:
        return
    sentences = list(_sentences(words)) or [[]]
    for index, sentence in enumerate(sentences):
        said = " ".join(word.word for word in sentence) or text
        yield Segment(
            id=number + index,
            seek=start // _FRAME,
            start=sentence[0].start if sentence else start / RATE,
            end=sentence[-1].end if sentence else stop / RATE,
            text=f" {said}",
            tokens=[],
            temperature=0.0,
            avg_logprob=0.0,
            compression_ratio=compression_ratio(said),
            no_speech_prob=0.0,
            words=sentence if request.word_timestamps else None,
            logprobs=None,
        )


def _words(hypothesis: Any, start: float, stop: float) -> list[Word]:
    found: list[Word] = []
    timed = hypothesis.timestamp.get("word") if isinstance(hypothesis.timestamp, dict) else None
    last = start
    for entry in timed or []:
        if "start" not in entry:
            # frames only: times were not asked for
            return []
        # numpy scalars, which the wire refuses
        begin = min(max(last, start + float(entry["start"])), stop)
        last = min(max(begin, start + float(entry["end"])), stop)
        if entry["word"].strip():
            found.append(Word(entry["word"].strip(), begin, last, None))
    return found


def _sentences(words: list[Word]) -> Iterator[list[Word]]:
    begin = 0
    for index, word in enumerate(words):
        if word.word.endswith(_SENTENCE_END) or index + 1 == len(words):
            yield words[begin : index + 1]
            begin = index + 1
