"""What is asked of a Whisper backend for a batch of pieces, and what is believed of its answers."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import compression_ratio
from asrpro_worker.engines.whisper.alignment import sentences, spoken_words
from asrpro_worker.engines.whisper.backend import MOST_SAID, MOST_TOKENS, Generated, Options
from asrpro_worker.engines.whisper.features import FRAMES, HOP, LogMel, frames_needed
from asrpro_worker.engines.whisper.keywords import names_more
from asrpro_worker.engines.whisper.languages import by_language
from asrpro_worker.engines.whisper.omissions import at_hole, at_unsaid, is_sparse
from asrpro_worker.engines.whisper.prompt import context
from asrpro_worker.messages import Segment
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

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
# An improbable text is not delivered from here on.
_DOUBTFUL = 0.3
# A language other than that of the job is believed from here on where the text has failed, and where it has not.
_SURE = 0.5
_SURELY = 0.8
# Seconds of speech that tell a language.
_LONG_ENOUGH = 1.5
# Seconds in one frame of an alignment.
_ALIGNED = 0.02
# Samples in one frame of `seek`, 10 ms, and the shortest piece that is cut in two.
_SEEK = RATE // 100
_DIVISIBLE = 2 * RATE


@dataclass
class _Attempt:
    """What is known of a piece: its encoder output and language, the temperatures left, and the texts so far."""

    window: int
    language: str | None
    context: list[int]
    ladder: list[float]
    encoded: Encoded = None
    probability: float | None = None
    texts: list[tuple[Generated, float]] = field(default_factory=list)
    found: bool = False
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
        for piece in pieces:
            piece.attempt = piece.attempt or self._begin(piece)
        new = [piece for piece in pieces if _encoded(piece) is None]
        self._encode(new, alive)
        unknown = [piece for piece in new if not piece.attempt.found]
        outcomes: dict[Piece, Outcome] = dict(self._find_languages(unknown, alive))
        whole = [piece for piece in pieces if piece not in outcomes]
        accepted: list[tuple[Piece, Generated, float]] = []
        failed: list[Piece] = []
        for piece, generated in self._generate(whole, alive):
            attempt: _Attempt = piece.attempt
            temperature = attempt.ladder.pop(0)
            attempt.texts.append((generated, temperature))
            if not self._holds(generated) and (attempt.ladder or attempt.window < FRAMES):
                outcomes[piece] = [piece]
                failed.append(piece)
                continue
            if not self._holds(generated):
                generated, temperature = self._best(attempt)  # noqa: PLW2901 - instead of the last
            if self._is_full(piece, generated) and len(piece.samples) >= _DIVISIBLE:
                outcomes[piece] = piece.halves()
            else:
                accepted.append((piece, generated, temperature))
        self._ask_again(failed, alive)
        for piece in failed:
            self._widen(piece)
        outcomes.update(self._believed(list(self._with_keywords(accepted, alive)), alive))
        return [outcomes[piece] for piece in pieces]

    def _begin(self, piece: Piece) -> _Attempt:
        request = piece.job.request
        frames = frames_needed(len(piece.samples)) if self._facts.any_length else FRAMES
        before = context(self._tokens, request, keywords=False)
        return _Attempt(frames, piece.language, before, temperatures(request.temperature))

    def _encode(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        """In one call what is as long, and what fits into it."""
        for group in _alike(pieces, _window):
            for start in range(0, len(group), self._facts.together):
                part = group[start : start + self._facts.together]
                alive()
                encoded = self._backend.encode([self._features(piece.samples, _window(piece)) for piece in part])
                for piece, output in zip(part, encoded, strict=True):
                    piece.attempt.encoded = output

    def _find_languages(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, list[Piece]]]:
        """A piece is in the language of its file, unless it is surely in another; those of several come in parts."""
        for piece, (language, probability) in self._detected(pieces, alive):
            attempt: _Attempt = piece.attempt
            attempt.found = True
            sure = (_SURE if piece.cuts else _SURELY) < probability and piece.spoken() > _LONG_ENOUGH
            if attempt.language is None or (sure and language != attempt.language):
                attempt.language, attempt.probability = language, probability
            parts = by_language(piece, functools.partial(self._likely, piece))
            if len(parts) > 1:
                yield piece, parts

    def _ask_again(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        """A text may fail because its piece is in another language than the beginning of the file."""
        for piece, (language, probability) in self._detected([one for one in pieces if not one.attempt.asked], alive):
            attempt: _Attempt = piece.attempt
            attempt.asked = True
            if language != attempt.language and probability > _SURE:
                attempt.language, attempt.probability, attempt.texts = language, probability, []
                attempt.ladder = temperatures(piece.job.request.temperature)

    def _detected(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, tuple[str, float]]]:
        """The most probable language of pieces whose job was not given one."""
        if not self._facts.multilingual:
            return
        for piece in pieces:
            if piece.job.request.language is None:
                alive()
                likely = self._likely(piece, slice(None))
                language = max(likely, key=likely.__getitem__)
                yield piece, (language, likely[language])

    def _likely(self, piece: Piece, frames: slice) -> dict[str, float]:
        """The probabilities of the languages that the request allows, in a part of the encoder's output."""
        [found] = self._backend.detect_language([_encoded(piece)[:, frames]])
        allowed = piece.job.request.languages or found
        among = {language: found[language] for language in found if language in allowed} or found
        total = sum(among.values()) or 1.0
        return {language: probability / total for language, probability in among.items()}

    def _widen(self, piece: Piece) -> None:
        """Little silence behind a piece may be what confuses the model: it is heard again in a whole window."""
        attempt: _Attempt = piece.attempt
        if attempt.window < FRAMES:
            ladder = temperatures(piece.job.request.temperature)
            piece.attempt = replace(attempt, window=FRAMES, encoded=None, ladder=ladder, texts=[])

    def _start(self, piece: Piece) -> list[int]:
        return self._tokens.start(piece.attempt.language, piece.job.request.task)

    def _prompt(self, piece: Piece) -> list[int]:
        before = [self._tokens.previous, *piece.attempt.context] if piece.attempt.context else []
        return [*before, *self._start(piece), self._tokens.untimed]

    def _generate(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, Generated]]:
        """In one call what fits together: the commands of all prompts stand in the same places."""

        def options(piece: Piece) -> Options:
            beam_size = piece.job.request.beam_size or _BEAM_SIZE
            return Options(beam_size, piece.attempt.ladder[0], silenced=self._tokens.commands)

        for group in _alike(pieces, lambda piece: (_window(piece), len(self._prompt(piece)), options(piece))):
            alive()
            prompts = [self._prompt(piece) for piece in group]
            made = self._backend.generate([_encoded(piece) for piece in group], prompts, options(group[0]))
            yield from zip(group, made, strict=True)

    def _with_keywords(
        self, accepted: list[tuple[Piece, Generated, float]], alive: Callable[[], None]
    ) -> Iterator[tuple[Piece, Generated, float]]:
        """Decoded once more with the keywords before it; the text is taken where it is better."""
        asked = [piece for piece, made, _ in accepted if piece.job.request.hotwords and not _invented(made)]
        for piece in asked:
            request = piece.job.request
            piece.attempt.context = context(self._tokens, request)
            piece.attempt.ladder = temperatures(request.temperature)[:1]
        named = dict(self._generate(asked, alive))
        for piece, made, temperature in accepted:
            text = named.get(piece, made)
            if text.tokens == made.tokens:
                yield piece, text, temperature
                continue
            said, plain = (self._tokens.decode(one.tokens) for one in (text, made))
            gain, keywords = text.logprob - made.logprob, piece.job.request.hotwords
            believed = self._holds(text) and not self._is_full(piece, text)
            better = believed and names_more(said, plain, keywords, gain)
            yield (piece, text, piece.attempt.ladder[0]) if better else (piece, made, temperature)

    def _is_full(self, piece: Piece, generated: Generated) -> bool:
        """Is there no room for more? The text may have been cut."""
        return len(generated.tokens) >= min(MOST_SAID, MOST_TOKENS - len(self._prompt(piece)))

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

    def _believed(
        self, accepted: list[tuple[Piece, Generated, float]], alive: Callable[[], None]
    ) -> Iterator[tuple[Piece, Outcome]]:
        """What was heard in each piece, or its parts where the text has left something out."""
        texts = {
            piece: self._without_loops(self._text_tokens(made)) for piece, made, _ in accepted if not _invented(made)
        }
        sparse = [piece for piece, text in texts.items() if is_sparse(piece, self._tokens.decode(text))]
        timed = [piece for piece, text in texts.items() if text and (piece in sparse or piece.job.request.wants_times)]
        aligned = self._align({piece: texts[piece] for piece in timed}, alive)
        for piece, generated, temperature in accepted:
            attempt: _Attempt = piece.attempt
            parts = self._parts(piece, texts[piece], aligned.get(piece)) if piece in sparse else []
            if parts:
                yield piece, parts
                continue
            segments: list[Segment] = []
            if piece in texts:
                said = replace(generated, tokens=texts[piece])
                segments = self._segments(piece, said, temperature, aligned.get(piece))
            yield piece, Heard(segments, attempt.language, attempt.probability)

    def _without_loops(self, text: list[int]) -> list[int]:
        """What is said over and over at the end is said once, if that is what makes a text repetitive."""
        while compression_ratio(self._tokens.decode(text).strip()) > _MOST_REPETITIVE:
            shorter = once(text)
            if len(shorter) == len(text):
                break
            text = shorter
        return text

    def _parts(self, piece: Piece, text: list[int], aligned: Aligned | None) -> list[Piece]:
        """Two pieces, cut where the text of the whole leaves something out; none where it leaves out nothing."""
        moments = [start * _ALIGNED for start in aligned.starts] if aligned else []
        words = [
            moment
            for token, moment in zip(text, moments, strict=False)
            if any(map(str.isalnum, self._tokens.decode([token])))
        ]
        return at_hole(piece, moments) or at_unsaid(piece, words)

    def _align(self, texts: dict[Piece, list[int]], alive: Callable[[], None]) -> dict[Piece, Aligned | None]:
        """In one call what has the same commands."""
        found: dict[Piece, Aligned | None] = {}
        for group in _alike(list(texts), lambda piece: (_window(piece), *self._start(piece))):
            alive()
            frames = [min(FRAMES, len(piece.samples) // HOP) for piece in group]
            said = [texts[piece] for piece in group]
            results = self._backend.align([_encoded(piece) for piece in group], self._start(group[0]), said, frames)
            found.update(zip(group, results, strict=True))
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


def once(text: list[int]) -> list[int]:
    """Without the repetitions of the longest loop: a part that stands three times or more, one behind the other."""
    best, longest = (0, 0), 0
    for length in range(1, len(text) // 3 + 1):
        same = [one == other for one, other in zip(text, text[length:], strict=False)]
        start = 0
        for equal, run in itertools.groupby(same):
            count = len(list(run))
            if equal and count >= 2 * length and count > longest:
                best, longest = (start + length, start + length + count), count
            start += count
    return text[: best[0]] + text[best[1] :]


def _alike(pieces: list[Piece], key: Callable[[Piece], Hashable]) -> list[list[Piece]]:
    """The pieces in groups of the same key: those that fit into one call."""
    groups: defaultdict[Hashable, list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[key(piece)].append(piece)
    return list(groups.values())


def _window(piece: Piece) -> int:
    attempt: _Attempt = piece.attempt
    return attempt.window


def _encoded(piece: Piece) -> Encoded:
    attempt: _Attempt = piece.attempt
    return attempt.encoded


def temperatures(asked: float | None) -> list[float]:
    """The ladder from the asked temperature upwards; one value alone would switch the fallback off."""
    if not asked:
        return list(_LADDER)
    return [asked, *(step for step in _LADDER if step > asked)]


def _invented(generated: Generated) -> bool:
    """Is there no speech, or an improbable text after all temperatures of what is hardly speech?"""
    doubtful = generated.no_speech > _DOUBTFUL and generated.logprob < _LEAST_PROBABLE
    return is_silence(generated) or doubtful


def is_silence(generated: Generated) -> bool:
    """Does the model itself say that nobody speaks, and find its text improbable?"""
    return generated.no_speech > _NO_SPEECH and generated.logprob < _LEAST_PROBABLE


def _times(part: list[Spoken]) -> tuple[float, float]:
    return part[0].word.start, part[-1].word.end
