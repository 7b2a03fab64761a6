"""What is asked of a Whisper backend for a batch of pieces, and what is believed of its answers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import compression_ratio
from asrpro_worker.engines.whisper.alignment import sentences, spoken_words
from asrpro_worker.engines.whisper.backend import MOST_TOKENS, Generated, Options
from asrpro_worker.engines.whisper.features import FRAMES, HOP, LogMel
from asrpro_worker.engines.whisper.prompt import context
from asrpro_worker.messages import Segment
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asrpro_worker.engines.whisper.alignment import Spoken
    from asrpro_worker.engines.whisper.backend import Aligned, Backend, Encoded
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.piece import Outcome, Piece

_BEAM_SIZE = 5
# Whisper's own temperatures: the next is tried when the text is repetitive or improbable.
_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Whisper's own limits for that, and for silence.
_MOST_REPETITIVE = 2.4
_LEAST_PROBABLE = -1.0
_NO_SPEECH = 0.6
# A language other than that of the job is believed from here on.
_SURE = 0.5
# Samples in one frame of `seek`, 10 ms, and the shortest piece that is cut in two.
_SEEK = RATE // 100
_DIVISIBLE = 2 * RATE


@dataclass
class _Attempt:
    """What is known of a piece: its encoder output and language, the temperatures left, and the texts so far."""

    encoded: Encoded
    language: str | None
    probability: float | None
    context: list[int]
    ladder: list[float]
    texts: list[tuple[Generated, float]] = field(default_factory=list)
    asked: bool = False


class Decoder:
    """Decodes batches over a backend.

    Pieces are decoded without time marks: in batches the model leaves out what it has not marked (word error rate 12
    instead of 2.7 %), and the text would depend on whether times are asked for. They come from alignment.
    """

    def __init__(self, backend: Backend, tokens: Tokens) -> None:
        self._backend = backend
        self._tokens = tokens
        self._facts = backend.facts()
        self._features = LogMel(self._facts.mels)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. A piece whose text fails comes back, to be tried with the next temperature."""
        new = [piece for piece in pieces if piece.attempt is None]
        for start in range(0, len(new), self._facts.together):
            self._encode(new[start : start + self._facts.together], alive)
        self._find_languages([piece for piece in new if piece.attempt.language is None], alive)
        outcomes: dict[Piece, Outcome] = {}
        accepted: list[tuple[Piece, Generated, float]] = []
        failed: list[Piece] = []
        for piece, generated in self._generate(pieces, alive):
            attempt: _Attempt = piece.attempt
            temperature = attempt.ladder.pop(0)
            attempt.texts.append((generated, temperature))
            full = len(generated.tokens) >= MOST_TOKENS - len(self._prompt(piece))
            if self._holds(generated) and full and len(piece.samples) >= _DIVISIBLE:
                outcomes[piece] = piece.halves()
            elif self._holds(generated):
                accepted.append((piece, generated, temperature))
            elif attempt.ladder:
                outcomes[piece] = [piece]
                failed.append(piece)
            else:
                accepted.append((piece, *self._best(attempt)))
        self._ask_again(failed, alive)
        outcomes.update(self._heard(accepted, alive))
        return [outcomes[piece] for piece in pieces]

    def _encode(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        alive()
        encoded = self._backend.encode([self._features(piece.samples) for piece in pieces])
        for piece, output in zip(pieces, encoded, strict=True):
            request = piece.job.request
            ladder = temperatures(request.temperature)
            piece.attempt = _Attempt(output, piece.language, None, context(self._tokens, request), ladder)

    def _find_languages(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        if not pieces or not self._facts.multilingual:
            return
        alive()
        found = self._backend.detect_language([piece.attempt.encoded for piece in pieces])
        for piece, (language, probability) in zip(pieces, found, strict=True):
            piece.attempt.language, piece.attempt.probability = language, probability

    def _ask_again(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        """A text may fail because its piece is in another language than the beginning of the file."""
        unsure = [piece for piece in pieces if not piece.attempt.asked and piece.job.request.language is None]
        if not unsure or not self._facts.multilingual:
            return
        alive()
        found = self._backend.detect_language([piece.attempt.encoded for piece in unsure])
        for piece, (language, probability) in zip(unsure, found, strict=True):
            attempt: _Attempt = piece.attempt
            attempt.asked = True
            if language != attempt.language and probability > _SURE:
                attempt.language, attempt.texts = language, []
                attempt.ladder = temperatures(piece.job.request.temperature)

    def _start(self, piece: Piece) -> list[int]:
        return self._tokens.start(piece.attempt.language, piece.job.request.task)

    def _prompt(self, piece: Piece) -> list[int]:
        before = [self._tokens.previous, *piece.attempt.context] if piece.attempt.context else []
        return [*before, *self._start(piece), self._tokens.untimed]

    def _generate(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, Generated]]:
        """In one call what fits together: the commands of all prompts stand in the same places."""
        groups: defaultdict[tuple[int, Options], list[tuple[Piece, list[int]]]] = defaultdict(list)
        for piece in pieces:
            prompt = self._prompt(piece)
            beam_size = piece.job.request.beam_size or _BEAM_SIZE
            options = Options(beam_size, piece.attempt.ladder[0], silenced=self._tokens.commands)
            groups[len(prompt), options].append((piece, prompt))
        for (_, options), group in groups.items():
            alive()
            encoded = [piece.attempt.encoded for piece, _ in group]
            made = self._backend.generate(encoded, [prompt for _, prompt in group], options)
            yield from zip((piece for piece, _ in group), made, strict=True)

    def _repeats(self, generated: Generated) -> bool:
        return compression_ratio(self._tokens.decode(generated.tokens).strip()) > _MOST_REPETITIVE

    def _holds(self, generated: Generated) -> bool:
        """Is it a text to be believed? An improbable one of a piece without speech is: it is empty."""
        if is_silence(generated):
            return True
        return generated.logprob >= _LEAST_PROBABLE and not self._repeats(generated)

    def _best(self, attempt: _Attempt) -> tuple[Generated, float]:
        varied = [text for text in attempt.texts if not self._repeats(text[0])]
        return max(varied or attempt.texts, key=lambda text: text[0].logprob)

    def _heard(
        self, accepted: list[tuple[Piece, Generated, float]], alive: Callable[[], None]
    ) -> Iterable[tuple[Piece, Heard]]:
        timed = [
            (piece, generated)
            for piece, generated, _ in accepted
            if piece.job.request.wants_times and generated.tokens and not is_silence(generated)
        ]
        aligned = self._align(timed, alive)
        for piece, generated, temperature in accepted:
            attempt: _Attempt = piece.attempt
            segments: list[Segment] = []
            if not is_silence(generated):
                segments = self._segments(piece, generated, temperature, aligned.get(piece))
            yield piece, Heard(segments, attempt.language, attempt.probability)

    def _align(self, timed: list[tuple[Piece, Generated]], alive: Callable[[], None]) -> dict[Piece, Aligned | None]:
        """In one call what has the same commands."""
        groups: defaultdict[tuple[int, ...], list[tuple[Piece, Generated]]] = defaultdict(list)
        for piece, generated in timed:
            groups[tuple(self._start(piece))].append((piece, generated))
        found: dict[Piece, Aligned | None] = {}
        for start, group in groups.items():
            alive()
            pieces = [piece for piece, _ in group]
            frames = [min(FRAMES, len(piece.samples) // HOP) for piece in pieces]
            texts = [self._text_tokens(generated) for _, generated in group]
            results = self._backend.align([piece.attempt.encoded for piece in pieces], list(start), texts, frames)
            found.update(zip(pieces, results, strict=True))
        return found

    def _text_tokens(self, generated: Generated) -> list[int]:
        return [token for token in generated.tokens if token < self._tokens.end]

    def _segments(
        self, piece: Piece, generated: Generated, temperature: float, aligned: Aligned | None
    ) -> list[Segment]:
        """The sentences of a piece where times are known, else all of it as one segment."""
        ids = self._text_tokens(generated)
        text = self._tokens.decode(ids)
        if not text.strip():
            return []
        language = piece.attempt.language
        wants_words = piece.job.request.word_timestamps
        words = spoken_words(self._tokens, ids, aligned, language, piece) if aligned else []
        parts: list[tuple[str, list[int], float, float, list[Spoken]]] = [
            ("".join(one.text for one in part), [i for one in part for i in one.tokens], *_times(part), part)
            for part in sentences(words)
        ] or [(text, ids, piece.start, piece.end, [])]
        # A piece that begins within a sentence must not be joined to the word before it.
        if not parts[0][0].startswith(" ") and self._tokens.spaces(language):
            parts[0] = (f" {parts[0][0]}", *parts[0][1:])
        return [
            Segment(
                id=0,
                seek=piece.spans[0][0] // _SEEK,
                start=start,
                end=end,
                text=said,
                tokens=part_ids,
                temperature=temperature,
                avg_logprob=generated.logprob,
                compression_ratio=compression_ratio(text.strip()),
                no_speech_prob=generated.no_speech,
                words=[one.word for one in part] if wants_words else None,
                logprobs=None,
            )
            for said, part_ids, start, end, part in parts
        ]


def temperatures(asked: float | None) -> list[float]:
    """The ladder from the asked temperature upwards; one value alone would switch the fallback off."""
    if not asked:
        return list(_LADDER)
    return [asked, *(step for step in _LADDER if step > asked)]


def is_silence(generated: Generated) -> bool:
    """Does the model itself say that nobody speaks, and find its text improbable?"""
    return generated.no_speech > _NO_SPEECH and generated.logprob < _LEAST_PROBABLE


def _times(part: list[Spoken]) -> tuple[float, float]:
    return part[0].word.start, part[-1].word.end
