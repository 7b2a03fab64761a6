"""Whisper in CTranslate2 form, run by faster-whisper's own sequential algorithm."""

from __future__ import annotations

import contextlib
import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import ctranslate2
import numpy as np

from asrpro_worker.engines import ctranslate2_devices
from asrpro_worker.engines.base import Facts, Recognition
from asrpro_worker.engines.refusal import refuse
from asrpro_worker.engines.replicas import Replicas
from asrpro_worker.engines.side_by_side import side_by_side
from asrpro_worker.engines.threads import JOBS_ON_GPU, job_count, thread_count, threads_alone
from asrpro_worker.engines.whisper_directory import WhisperDirectory, check_directory, check_mels, load_error
from asrpro_worker.engines.whisper_job import JobModel
from asrpro_worker.errors import WorkerError
from asrpro_worker.longform import speech_stretches, split
from asrpro_worker.messages import Capabilities, Segment, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Load, ProbedDevice, Transcribe
    from asrpro_worker.pcm import Pcm

# Whisper's own temperatures: the next is tried when the text is repetitive or improbable.
_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BEAM_SIZE = 5
# A file with so many seconds of speech is worked on in several places at once where nothing else runs.
_LONG = 240.0


class FasterWhisper:
    """The engine `faster-whisper`."""

    def __init__(self) -> None:
        self._model: JobModel | None = None
        self._replicas: Replicas | None = None
        self._concurrency = 1
        self._languages: list[str] = []
        self._translates = False

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. `compute_type` auto is int8 on the CPU: the published float16 would become float32 there."""
        directory = check_directory(request.model.path)
        device = ctranslate2_devices.resolve(request.device)
        threads = thread_count(request.threads)
        concurrency = job_count(request.concurrency, threads) if device == "cpu" else request.concurrency or JOBS_ON_GPU
        kind, _, index = device.partition(":")
        phase("weights")
        try:
            compute_type = ctranslate2_devices.resolve_compute_type(device, request.compute_type)
            model = JobModel(
                str(directory.path),
                device=kind,
                device_index=int(index or 0),
                compute_type=compute_type,
                cpu_threads=threads_alone(threads, concurrency),
                num_workers=concurrency,
                local_files_only=True,
            )
            check_mels(model)
            phase("warm-up")
            _warm_up(model)
        except WorkerError:
            raise
        except Exception as error:
            raise load_error(error) from error
        self._model = model
        self._concurrency = concurrency
        self._replicas = Replicas(
            model.model,
            _narrow_loader(model, directory, threads, concurrency) if device == "cpu" and concurrency > 1 else None,
            (directory.path / "model.bin").stat().st_size,
        )
        self._translates = _translates(model, directory, request.model.id)
        self._languages = _languages(model, request.model.languages)
        return Facts(
            device=device,
            compute_type=model.model.compute_type,
            threads=threads,
            concurrency=concurrency,
            languages=self._languages,
            capabilities=self._capabilities(),
        )

    def transcribe(self, job: Job, pcm: Pcm) -> Recognition:
        """See Engine.transcribe. The text is that of plain faster-whisper with the same options.

        `vad_filter` here does not cut speech at every pause, as the library's does, which changes the text: it only
        leaves out what Whisper invents text for, pauses of 10 s and more and files without any speech.
        """
        request = job.request
        if self._model is None or self._replicas is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        refuse(request, self._capabilities(), self._languages)
        stretches = [(0.0, pcm.duration)]
        if request.vad_filter:
            with job.timed("vad"):
                stretches = speech_stretches(pcm, lambda _: job.progress(0.0))
        if not stretches:
            return Recognition(request.language, None, iter(()))
        parts = [stretches]
        if self._concurrency > 1 and not self._replicas.busy and sum(end - start for start, end in stretches) >= _LONG:
            with job.timed("vad"):
                parts = split(pcm, stretches, self._concurrency, lambda _: job.progress(0.0))
        replicas = self._replicas
        model = self._model.for_job(job, pcm, replicas)
        with replicas.at_work():
            segments, info = _transcribe(model, request, request.language, parts[0], pcm)

        def rest(part: list[tuple[float, float]]) -> Iterator[Segment]:
            return _segments(_transcribe(model.beside(), request, info.language, part, pcm)[0], part[-1][1])

        first = functools.partial(_segments, segments, parts[0][-1][1])
        others = [functools.partial(rest, part) for part in parts[1:]]
        heard = _at_work(replicas, side_by_side([first, *others]))
        return Recognition(info.language, float(info.language_probability), heard)

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return ctranslate2_devices.probe(device)

    def _capabilities(self) -> Capabilities:
        return Capabilities(
            tasks=["transcribe", "translate"] if self._translates else ["transcribe"],
            word_timestamps=True,
            # CTranslate2 scores a whole window, not its tokens.
            logprobs=False,
            prompt=True,
            temperature=True,
            hotwords=True,
            detects_language=len(self._languages) > 1,
            neutral=[],
        )


def create() -> FasterWhisper:
    """The engine, without a model."""
    return FasterWhisper()


def _warm_up(model: JobModel) -> None:
    """One second through encoder and decoder: a missing cuBLAS or a wrong file shows here and not in a request."""
    language = model.supported_languages[0] if model.model.is_multilingual else None
    segments, _ = model.transcribe(
        np.zeros(16_000, np.float32),
        language="en" if "en" in model.supported_languages else language,
        beam_size=1,
        temperature=0.0,
        max_new_tokens=4,
    )
    list(segments)


def _narrow_loader(model: JobModel, directory: WhisperDirectory, threads: int, concurrency: int) -> Callable[[], Any]:
    """Loads the same weights with the cores shared among the workers."""
    return lambda: ctranslate2.models.Whisper(
        str(directory.path),
        device="cpu",
        compute_type=model.model.compute_type,
        intra_threads=max(1, threads // concurrency),
        inter_threads=concurrency,
    )


def _transcribe(
    model: JobModel, request: Transcribe, language: str | None, part: list[tuple[float, float]], pcm: Pcm
) -> tuple[Iterable[Any], Any]:
    """faster-whisper's segments and info, for the stretches of `part`, (start, end) in seconds."""
    found: tuple[Iterable[Any], Any] = model.transcribe(
        # Only its length is read: the features come from the PCM file.
        np.broadcast_to(np.float32(0), (pcm.samples,)),
        language=language,
        task=request.task,
        beam_size=request.beam_size or _BEAM_SIZE,
        temperature=temperatures(request.temperature),
        initial_prompt=_plain(request.prompt),
        hotwords=_plain(", ".join(request.hotwords)),
        word_timestamps=request.word_timestamps,
        clip_timestamps=[moment for stretch in part for moment in stretch],
    )
    return found


def _at_work(replicas: Replicas, segments: Generator[Segment]) -> Iterator[Segment]:
    """`segments`, numbered; the job counts as at work meanwhile."""
    with replicas.at_work(), contextlib.closing(segments):
        for number, segment in enumerate(segments):
            yield replace(segment, id=number)


def _languages(model: JobModel, stated: list[str] | None) -> list[str]:
    """The model's languages: older vocabularies lack codes that the library knows."""
    if not model.model.is_multilingual:
        return ["en"]
    known = [code for code in model.supported_languages if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None]
    return [code for code in known if stated is None or code in stated] or known


def _translates(model: JobModel, directory: WhisperDirectory, model_id: str) -> bool:
    """Turbo and distilled models answer a translation in the source language; they have few decoder layers."""
    if not model.model.is_multilingual or directory.is_shortened(model.model.n_mels):
        return False
    return not any(sign in model_id.lower() for sign in ("turbo", "distil"))


def temperatures(asked: float | None) -> list[float]:
    """The ladder from the asked temperature upwards; one value alone would switch the fallback off."""
    if not asked:
        return list(_LADDER)
    return [asked, *(step for step in _LADDER if step > asked)]


def _plain(text: str | None) -> str | None:
    """A prompt without the marks that the tokenizer would read as Whisper's own commands; None when empty."""
    return re.sub(r"<\|.*?\|>", "", text or "").strip() or None


def _segments(segments: Iterable[Any], stop: float) -> Iterator[Segment]:
    """On the wire's terms. Whisper's time marks can lie in the padding behind the end, `stop`."""
    for segment in segments:
        yield Segment(
            id=int(segment.id),
            seek=int(segment.seek),
            start=min(float(segment.start), stop),
            end=min(float(segment.end), stop),
            text=segment.text,
            tokens=[int(token) for token in segment.tokens],
            temperature=float(segment.temperature),
            avg_logprob=_finite(segment.avg_logprob),
            compression_ratio=_finite(segment.compression_ratio),
            no_speech_prob=_finite(segment.no_speech_prob),
            words=None if segment.words is None else [_word(word) for word in segment.words],
            logprobs=None,
        )


def _word(word: Any) -> Word:
    return Word(word.word.strip(), float(word.start), float(word.end), _finite(word.probability))


def _finite(value: float) -> float:
    """Numbers on the wire are finite; a model with broken weights can make others."""
    return float(np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=-100.0))
