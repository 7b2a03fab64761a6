"""Whisper's decoding of a batch of pieces: languages, fallback temperatures, keywords, omissions and times."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asrpro_worker.engines.measures import compression_ratio, is_repetitive
from asrpro_worker.engines.whisper.alignment import sentences, spoken_words
from asrpro_worker.engines.whisper.backend import FRAME_SECONDS, MAX_TEXT_TOKENS, MAX_TOKENS, Generated, Options
from asrpro_worker.engines.whisper.features import FRAMES, HOP, LogMel, window_frames
from asrpro_worker.engines.whisper.keywords import adds_keywords
from asrpro_worker.engines.whisper.languages import split_by_language
from asrpro_worker.engines.whisper.omissions import is_sparse, split_at_gap, split_at_missing_utterance
from asrpro_worker.engines.whisper.prompt import context
from asrpro_worker.errors import WorkerError
from asrpro_worker.messages import Segment
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asrpro_worker.engines.whisper.alignment import Spoken
    from asrpro_worker.engines.whisper.backend import Aligned, Backend, Encoded
    from asrpro_worker.engines.whisper.tokens import Tokens
    from asrpro_worker.piece import Outcome, Piece

_BEAM_SIZE = 5
# Whisper's own fallback temperatures. The next one is tried if the text is repetitive or improbable.
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Whisper's own limits for an improbable text and for silence.
_MIN_LOGPROB = -1.0
_NO_SPEECH = 0.6
# An improbable text with a higher no-speech probability than this is dropped as invented.
_DOUBTFUL_NO_SPEECH = 0.3
# A piece gets another language than its job from this probability on: if its text failed or if it is a part of a split
# piece, and in all other cases.
_MIN_LANGUAGE = 0.5
_MIN_OTHER_LANGUAGE = 0.8
# Seconds of speech needed to detect another language.
_MIN_LANGUAGE_SECONDS = 1.5
# The shortest piece that is split in two, in samples.
_MIN_DIVISIBLE = 2 * RATE


_Accepted = tuple["Piece", Generated, float]
"""A piece with its text and the temperature of the text."""


@dataclass
class _Attempt:
    """The state of a piece: its encoder output and language, the temperatures left, and the texts so far.

    `window`: frames of 10 ms that are encoded. `detected`: its language was detected before its first text.
    `redetected`: it was detected again after a text failed.
    """

    window: int
    language: str | None
    context: list[int]
    temperatures: list[float]
    encoded: Encoded = None
    probability: float | None = None
    texts: list[tuple[Generated, float]] = field(default_factory=list)
    detected: bool = False
    redetected: bool = False

    def __copy__(self) -> _Attempt:
        return replace(self, temperatures=[*self.temperatures], texts=[*self.texts])


class Decoder:
    """Decodes batches of pieces with a backend.

    Pieces are decoded without timestamp tokens: with them, batches lose the speech after the last timestamp (word error
    rate 12 instead of 2.7 %), and the text would depend on whether times are requested. Times come from alignment.
    """

    def __init__(self, backend: Backend, tokens: Tokens) -> None:
        self._backend = backend
        self._tokens = tokens
        self._facts = backend.facts()
        self._features = LogMel(self._facts.mels)

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. A piece whose text fails is returned as its own outcome, for the next temperature."""
        for piece in pieces:
            piece.attempt = piece.attempt or self._begin(piece)
        new = [piece for piece in pieces if _encoded(piece) is None]
        self._encode(new, alive)
        unknown = [piece for piece in new if not piece.attempt.detected]
        outcomes: dict[Piece, Outcome] = dict(self._detect_languages(unknown, alive))
        whole = [piece for piece in pieces if piece not in outcomes]
        accepted: list[_Accepted] = []
        failed: list[Piece] = []
        for piece, generated in self._generate(whole, alive):
            attempt: _Attempt = piece.attempt
            temperature = attempt.temperatures.pop(0)
            attempt.texts.append((generated, temperature))
            plausible = self._is_plausible(generated)
            if not plausible and (attempt.temperatures or attempt.window < FRAMES):
                outcomes[piece] = [piece]
                failed.append(piece)
                continue
            if not plausible:
                generated, temperature = self._best(attempt)  # noqa: PLW2901
            if self._is_full(piece, generated) and len(piece.samples) >= _MIN_DIVISIBLE:
                outcomes[piece] = piece.halves()
            else:
                accepted.append((piece, generated, temperature))
        self._redetect_languages(failed, alive)
        for piece in failed:
            self._use_full_window(piece)
        outcomes.update(self._outcomes(list(self._with_keywords(accepted, alive)), alive))
        return [outcomes[piece] for piece in pieces]

    def _begin(self, piece: Piece) -> _Attempt:
        request = piece.job.request
        window = window_frames(len(piece.samples)) if self._facts.any_length else FRAMES
        prompt = context(self._tokens, request, keywords=False)
        return _Attempt(window, piece.language, prompt, temperatures(request.temperature))

    def _encode(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        """Encode pieces of equal windows together, as many as suit the backend."""
        for group in grouped(pieces, _window):
            for start in range(0, len(group), self._facts.encoder_batch):
                part = group[start : start + self._facts.encoder_batch]
                alive()
                encoded = self._backend.encode([self._features(piece.samples, _window(piece)) for piece in part])
                for piece, output in zip(part, encoded, strict=True):
                    piece.attempt.encoded = output

    def _detect_languages(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, list[Piece]]]:
        """Set the languages of the pieces; yields the parts of pieces that hold several languages.

        A piece keeps the language of its job unless it is clearly in another.
        """
        for piece, (language, probability) in self._detected(pieces, alive):
            attempt: _Attempt = piece.attempt
            attempt.detected = True
            limit = _MIN_LANGUAGE if piece.cuts else _MIN_OTHER_LANGUAGE
            clear = probability > limit and piece.spoken() > _MIN_LANGUAGE_SECONDS
            if attempt.language is None or (clear and language != attempt.language):
                attempt.language, attempt.probability = language, probability
            parts = split_by_language(piece, functools.partial(self._language_probabilities, piece))
            if len(parts) > 1:
                yield piece, parts

    def _redetect_languages(self, pieces: list[Piece], alive: Callable[[], None]) -> None:
        """Detect the language of failed pieces: they may be in another language than the beginning of the file."""
        unknown = [piece for piece in pieces if not piece.attempt.redetected]
        for piece, (language, probability) in self._detected(unknown, alive):
            attempt: _Attempt = piece.attempt
            attempt.redetected = True
            if language != attempt.language and probability > _MIN_LANGUAGE:
                attempt.language, attempt.probability, attempt.texts = language, probability, []
                attempt.temperatures = temperatures(piece.job.request.temperature)

    def _detected(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, tuple[str, float]]]:
        """The most probable language of each piece whose request has none."""
        if not self._facts.multilingual:
            return
        for piece in pieces:
            if piece.job.request.language is None:
                alive()
                likely = self._language_probabilities(piece, slice(None))
                language = max(likely, key=likely.__getitem__)
                yield piece, (language, likely[language])

    def _language_probabilities(self, piece: Piece, frames: slice) -> dict[str, float]:
        """The probabilities of the languages that the request allows, from some frames of the encoder's output."""
        [likely] = self._backend.detect_language([_encoded(piece)[:, frames]])
        if not likely:
            message = "This model cannot detect the language: its config.json has no lang_ids. Give the language."
            raise WorkerError("unsupported_value", message, "language")
        allowed = piece.job.request.languages or likely
        candidates = {language: likely[language] for language in likely if language in allowed} or likely
        total = sum(candidates.values()) or 1.0
        return {language: probability / total for language, probability in candidates.items()}

    def _use_full_window(self, piece: Piece) -> None:
        """Decode the piece again in a window of 30 s, because the text may have failed for lack of silence after it."""
        attempt: _Attempt = piece.attempt
        if attempt.window < FRAMES:
            again = temperatures(piece.job.request.temperature)
            piece.attempt = replace(attempt, window=FRAMES, encoded=None, temperatures=again, texts=[])

    def _start(self, piece: Piece) -> list[int]:
        return self._tokens.start(piece.attempt.language, piece.job.request.task)

    def _prompt(self, piece: Piece) -> list[int]:
        before = [self._tokens.previous, *piece.attempt.context] if piece.attempt.context else []
        return [*before, *self._start(piece), self._tokens.untimed]

    def _generate(self, pieces: list[Piece], alive: Callable[[], None]) -> Iterator[tuple[Piece, Generated]]:
        """Generate texts. Pieces of one call have the same window, options and positions of commands."""

        def options(piece: Piece) -> Options:
            beam_size = piece.job.request.beam_size or _BEAM_SIZE
            return Options(beam_size, piece.attempt.temperatures[0], suppressed=self._tokens.commands)

        for group in grouped(pieces, lambda piece: (_window(piece), len(self._prompt(piece)), options(piece))):
            alive()
            prompts = [self._prompt(piece) for piece in group]
            texts = self._backend.generate([_encoded(piece) for piece in group], prompts, options(group[0]))
            yield from zip(group, texts, strict=True)

    def _with_keywords(self, accepted: list[_Accepted], alive: Callable[[], None]) -> Iterator[_Accepted]:
        """Decode pieces with keywords again, with the keywords in the prompt; the better of the two texts is used."""
        pieces = [piece for piece, plain, _ in accepted if piece.job.request.hotwords and not _is_invented(plain)]
        for piece in pieces:
            request = piece.job.request
            piece.attempt.context = context(self._tokens, request)
            piece.attempt.temperatures = temperatures(request.temperature)[:1]
        prompted = dict(self._generate(pieces, alive))
        for piece, plain, temperature in accepted:
            named = prompted.get(piece, plain)
            if named.tokens == plain.tokens:
                yield piece, named, temperature
                continue
            named_text, plain_text = (self._tokens.decode(generated.tokens) for generated in (named, plain))
            gain = named.logprob - plain.logprob
            usable = self._is_plausible(named) and not self._is_full(piece, named)
            better = usable and adds_keywords(named_text, plain_text, piece.job.request.hotwords, gain)
            yield (piece, named, piece.attempt.temperatures[0]) if better else (piece, plain, temperature)

    def _is_full(self, piece: Piece, generated: Generated) -> bool:
        """True if the decoder had no room for more tokens, so that the text may be cut off."""
        return len(generated.tokens) >= min(MAX_TEXT_TOKENS, MAX_TOKENS - len(self._prompt(piece)))

    def _repeats(self, generated: Generated) -> bool:
        return is_repetitive(self._tokens.decode(generated.tokens).strip())

    def _is_plausible(self, generated: Generated) -> bool:
        """False if another temperature should be tried. Silence needs no other try: its text will be dropped."""
        return is_silence(generated) or (generated.logprob >= _MIN_LOGPROB and not self._repeats(generated))

    def _best(self, attempt: _Attempt) -> tuple[Generated, float]:
        varied = [text for text in attempt.texts if not self._repeats(text[0])]
        return max(varied or attempt.texts, key=lambda text: text[0].logprob)

    def _outcomes(self, accepted: list[_Accepted], alive: Callable[[], None]) -> Iterator[tuple[Piece, Outcome]]:
        """The text of each piece, or its parts if the text omits some of the speech."""
        texts = {
            piece: self._without_loops(self._text_tokens(generated))
            for piece, generated, _ in accepted
            if not _is_invented(generated)
        }
        # Without an alignment there is no way to find the speech that a text omits.
        known = {piece: text for piece, text in texts.items() if self._facts.aligns or not text}
        sparse = [piece for piece, text in known.items() if is_sparse(piece, self._tokens.decode(text))]
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
                generated = replace(generated, tokens=texts[piece])  # noqa: PLW2901
                segments = self._segments(piece, generated, temperature, aligned.get(piece))
            yield piece, Heard(segments, attempt.language, attempt.probability)

    def _without_loops(self, text: list[int]) -> list[int]:
        """Remove the longest loops from a repetitive text."""
        while is_repetitive(self._tokens.decode(text).strip()):
            shorter = without_longest_loop(text)
            if len(shorter) == len(text):
                break
            text = shorter
        return text

    def _parts(self, piece: Piece, text: list[int], aligned: Aligned | None) -> list[Piece]:
        """The piece split in two where its text omits speech; empty if it omits none."""
        starts = [start * FRAME_SECONDS for start in aligned.starts] if aligned else []
        words = [
            start
            for token, start in zip(text, starts, strict=False)
            if any(map(str.isalnum, self._tokens.decode([token])))
        ]
        return split_at_gap(piece, starts) or split_at_missing_utterance(piece, words)

    def _align(self, texts: dict[Piece, list[int]], alive: Callable[[], None]) -> dict[Piece, Aligned | None]:
        """Align texts. Pieces of one call have the same window and commands."""
        found: dict[Piece, Aligned | None] = {}
        for group in grouped(texts, lambda piece: (_window(piece), *self._start(piece))):
            alive()
            frames = [min(FRAMES, len(piece.samples) // HOP) for piece in group]
            encoded = [_encoded(piece) for piece in group]
            tokens = [texts[piece] for piece in group]
            results = self._backend.align(encoded, self._start(group[0]), tokens, frames)
            found.update(zip(group, results, strict=True))
        return found

    def _text_tokens(self, generated: Generated) -> list[int]:
        return [token for token in generated.tokens if token < self._tokens.end]

    def _segments(
        self, piece: Piece, generated: Generated, temperature: float, aligned: Aligned | None
    ) -> list[Segment]:
        """One segment per sentence if times are known, else one for the whole piece. The tokens are only text."""
        ids = generated.tokens
        text = self._tokens.decode(ids)
        if not text.strip():
            return []
        language = piece.attempt.language
        wants_words = piece.job.request.word_timestamps
        words = spoken_words(self._tokens, ids, aligned, language, piece) if aligned else []
        parts: list[tuple[str, list[int], float, float, Sequence[Spoken]]] = [
            (
                "".join(word.text for word in part),
                [token for word in part for token in word.tokens],
                part[0].word.start,
                part[-1].word.end,
                part,
            )
            for part in sentences(words)
        ] or [(text, ids, piece.start, piece.end, [])]
        # A piece that begins within a sentence needs a space between it and the previous word.
        if not parts[0][0].startswith(" ") and self._tokens.spaces(language):
            parts[0] = (f" {parts[0][0]}", *parts[0][1:])
        return [
            Segment(
                seek=piece.seek,
                start=start,
                end=end,
                text=sentence,
                tokens=part_ids,
                temperature=temperature,
                avg_logprob=generated.logprob,
                compression_ratio=compression_ratio(text.strip()),
                no_speech_prob=generated.no_speech,
                words=[word.word for word in part] if wants_words else None,
            )
            for sentence, part_ids, start, end, part in parts
        ]


def without_longest_loop(text: list[int]) -> list[int]:
    """Keep one repetition of the longest loop, a sequence that occurs three or more times in a row."""
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


def _window(piece: Piece) -> int:
    attempt: _Attempt = piece.attempt
    return attempt.window


def _encoded(piece: Piece) -> Encoded:
    attempt: _Attempt = piece.attempt
    return attempt.encoded


def temperatures(requested: float | None) -> list[float]:
    """The fallback temperatures from the requested one upwards, because a single value would disable the fallback."""
    if not requested:
        return list(_TEMPERATURES)
    return [requested, *(step for step in _TEMPERATURES if step > requested)]


def _is_invented(generated: Generated) -> bool:
    """True if the text is improbable and the model finds little speech; such a text is dropped."""
    return generated.no_speech > _DOUBTFUL_NO_SPEECH and generated.logprob < _MIN_LOGPROB


def is_silence(generated: Generated) -> bool:
    """True if the model reports no speech and finds its text improbable."""
    return generated.no_speech > _NO_SPEECH and generated.logprob < _MIN_LOGPROB
