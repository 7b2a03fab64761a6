"""faster-whisper's model, changed where one job needs it."""

from __future__ import annotations

import copy
import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

from asrpro_worker.features import WindowedFeatures

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrpro_worker.engines.replicas import Replicas
    from asrpro_worker.job import Job
    from asrpro_worker.pcm import Pcm

log = logging.getLogger(__name__)


class JobModel(WhisperModel):  # type: ignore[misc]  # the library ships no types
    """A WhisperModel, and by `for_job` a view of it for one job: same weights, own state.

    Three changes. The features come from the PCM file window by window. Detecting the language and decoding the first
    window share one encoder pass. Before each call into CTranslate2, which cannot be interrupted, the job is asked
    whether it is still wanted: that bounds a cancel by one call instead of six temperatures.
    """

    _last: tuple[Any, Any] | None = None

    def for_job(self, job: Job, pcm: Pcm, replicas: Replicas) -> JobModel:
        """A view for one job. Views may work on several threads at once."""
        view = self.beside()
        view.model = _Interruptible(replicas, job)
        view.feature_extractor = _PcmExtractor(self.feature_extractor, job, pcm)
        return view

    def beside(self) -> JobModel:
        """A view for the same job on another thread: it has its features and its own state."""
        view = copy.copy(self)
        view._last = None  # noqa: SLF001 - its own
        return view

    def detect_language(
        self,
        audio: Any = None,
        features: Any = None,
        **options: Any,
    ) -> tuple[str, float, list[tuple[str, float]]]:
        """As faster-whisper, on exactly the frames that the first window will hold.

        Stock adds one frame of padding, so that its encoder output cannot be used again.
        """
        if isinstance(features, WindowedFeatures):
            content = features.shape[1] - 1
            features = features[..., 0 : min(content, self.feature_extractor.nb_max_frames)]
        found: tuple[str, float, list[tuple[str, float]]] = super().detect_language(audio, features, **options)
        return found

    def encode(self, features: Any) -> Any:
        """As faster-whisper; the same window twice in a row is encoded once."""
        if self._last is not None and np.array_equal(self._last[0], features):
            return self._last[1]
        self._last = (features, super().encode(features))
        return self._last[1]

    def find_alignment(self, tokenizer: Any, text_tokens: Any, *rest: Any, **options: Any) -> Any:
        """As faster-whisper; a last window of a few frames, which it fails on, gets no word times."""
        try:
            return super().find_alignment(tokenizer, text_tokens, *rest, **options)
        except IndexError:
            log.info("A window is too short for word times")
            return [[] for _ in text_tokens]


class _Interruptible:
    """A CTranslate2 model that checks the job before each call, and makes it on the replica for the moment.

    A job's stretches take turns in the encoder. Its attention is what needs memory, 140 MB for whisper-base, and so a
    long file needs hardly more of it than a short one. Measured: 6 % more time than side by side.
    """

    def __init__(self, replicas: Replicas, job: Job) -> None:
        self._replicas = replicas
        self._job = job
        self._encoder = threading.Lock()

    def encode(self, *args: Any, **options: Any) -> Any:
        with self._encoder:
            self._job.check()
            return self._replicas.current.encode(*args, **options)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._replicas.wide, name)
        return self._checked(name) if callable(value) else value

    def _checked(self, name: str) -> Callable[..., Any]:
        def checked(*args: Any, **options: Any) -> Any:
            self._job.check()
            return getattr(self._replicas.current, name)(*args, **options)

        return checked


class _PcmExtractor(FeatureExtractor):  # type: ignore[misc]  # the library ships no types
    """The model's extractor, answering with the features of a PCM file whatever it is called with."""

    def __init__(self, extractor: FeatureExtractor, job: Job, pcm: Pcm) -> None:
        self.__dict__.update(extractor.__dict__)
        self._job = job
        self._pcm = pcm
        self._features: WindowedFeatures | None = None

    def __call__(self, *_: Any, **__: Any) -> WindowedFeatures:
        if self._features is None:
            with self._job.timed("features"):
                self._features = WindowedFeatures(
                    self, self._pcm, lambda frame: self._job.progress(frame * self.time_per_frame)
                )
        return self._features
