"""The engine `nemo`: loads NVIDIA's `.nemo` checkpoints with NeMo."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from asrpro_worker.engines.nemo.home import temporary_home

# Both are read at import. NeMo logs to stdout by default, and some operations do not exist for Apple's GPU.
os.environ["NEMO_REDIRECT_LOGS_TO_STDERR"] = "1"
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

# lhotse, a dependency of NeMo, creates a folder in the home directory when it is imported.
with temporary_home():
    import lhotse  # noqa: F401 - only to have been imported

import torch
from nemo.collections.asr.models import ASRModel
from nemo.collections.asr.parts.mixins.transcription import TranscribeConfig
from nemo.utils import logging as nemo_logging

from asrpro_worker.engines.nemo import devices
from asrpro_worker.engines.nemo.boosting import Boosting, prepare
from asrpro_worker.engines.nemo.files import check_checkpoint, load_error
from asrpro_worker.engines.nemo.hypothesis import segments_of
from asrpro_worker.engines.protocol import Facts
from asrpro_worker.machine import cuda_batch_size, thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard, grouped

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from asrpro_worker.messages import Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece

log = logging.getLogger(__name__)

# NeMo pads shorter arrays on both sides, which shifts the times. So they are padded here, at the end.
_MIN_SAMPLES = RATE + RATE // 10


class Nemo:
    """Runs a `.nemo` model. Its memory grows with the square of a piece's length, because its attention is full."""

    def __init__(self) -> None:
        nemo_logging.setLevel(logging.ERROR)
        # It reports errors about telemetry, which is not enabled.
        logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
        self._model: Any = None
        self._boosting: Any = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. NeMo unpacks the checkpoint to the temporary directory and deletes it after loading."""
        file = check_checkpoint(Path(request.model.path).absolute())
        device = devices.resolve(request.device)
        compute_type = devices.check_compute_type(request.compute_type)
        threads = thread_count(request.threads)
        torch.set_num_threads(threads)
        phase("weights")
        try:
            model = ASRModel.restore_from(str(file), map_location=torch.device(device))
            model.eval()
            prepare(model)
            self._model, self._boosting = model, Boosting(model)
            phase("warm-up")
            self._recognize([np.zeros(_MIN_SAMPLES, np.float32)], [[]], lambda: None)
        except Exception as error:
            raise load_error(error, file) from error
        return Facts(
            device=device,
            compute_type=compute_type,
            threads=threads,
            batch=cuda_batch_size(request.concurrency, device),
            languages=request.model.languages or [],
            capabilities=_capabilities(hotwords=self._boosting.supported),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. Pieces of one call have languages and keywords that the model can apply together."""
        outcomes: dict[Piece, Outcome] = {}
        for group in grouped(
            pieces, lambda piece: self._boosting.key(piece.allowed_languages, piece.job.request.hotwords)
        ):
            sounds = [np.pad(piece.samples, (0, max(0, _MIN_SAMPLES - len(piece.samples)))) for piece in group]
            keywords = [piece.job.request.hotwords for piece in group]
            languages = group[0].allowed_languages
            with self._boosting.restricted(languages, keywords[0]), self._boosting.boosted(keywords[0]):
                hypotheses = self._recognize(sounds, keywords, alive)
            for piece, hypothesis in zip(group, hypotheses, strict=True):
                # Multilingual models detect the language themselves but do not report it.
                outcomes[piece] = Heard(list(segments_of(hypothesis, piece)), piece.language)
        return [outcomes[piece] for piece in pieces]

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)

    def _recognize(
        self, sounds: list[NDArray[np.float32]], keywords: list[list[str]], alive: Callable[[], None]
    ) -> list[Any]:
        """One hypothesis for each sound, with its keywords.

        With times, a batch fails if a text in it has only tokens without duration. Then each sound is recognized alone,
        and the failing one without times.
        """
        alive()
        try:
            return self._transcribe(sounds, keywords, timestamps=True)
        except ValueError:
            log.info("NeMo found no times for at least one of %d pieces", len(sounds))
        if len(sounds) > 1:
            return [
                hypothesis
                for sound, words in zip(sounds, keywords, strict=True)
                for hypothesis in self._recognize([sound], [words], alive)
            ]
        alive()
        return self._transcribe(sounds, keywords, timestamps=False)

    def _transcribe(
        self, sounds: list[NDArray[np.float32]], keywords: list[list[str]], *, timestamps: bool
    ) -> list[Any]:
        # An object, because the arguments differ between the classes of models. `timestamps` must always be set: None
        # after True gives an empty list.
        settings = TranscribeConfig(
            use_lhotse=False,
            batch_size=len(sounds),
            return_hypotheses=True,
            timestamps=timestamps,
            num_workers=0,
            verbose=False,
            partial_hypothesis=self._boosting.hypotheses(keywords),
        )
        hypotheses: list[Any] = self._model.transcribe(audio=sounds, override_config=settings)
        return hypotheses


def _capabilities(*, hotwords: bool) -> Capabilities:
    return Capabilities(
        tasks=["transcribe"],
        word_timestamps=True,
        # NeMo's confidence is derived from entropy; it is no probability.
        logprobs=False,
        prompt=False,
        temperature=False,
        # Character models have no tokenizer for phrases.
        hotwords=hotwords,
        detects_language=False,
        neutral=["tokens", "no_speech_prob", "avg_logprob"],
    )


create = Nemo
