"""NVIDIA Parakeet as `.nemo` checkpoints, run by the framework that made them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from unittest import mock

import numpy as np

# Both are read at import: NeMo prints to stdout, and some operations are not there for Apple's GPU.
os.environ["NEMO_REDIRECT_LOGS_TO_STDERR"] = "1"
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

# This package of NeMo's makes itself a folder in the user's home when it is imported.
with mock.patch.object(Path, "home", return_value=Path(tempfile.gettempdir())):
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
from asrpro_worker.machine import few_pieces, thread_count
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from asrpro_worker.messages import Load, ProbedDevice
    from asrpro_worker.piece import Outcome, Piece

log = logging.getLogger(__name__)

# Shorter arrays are padded by NeMo on both sides, which shifts the times; so they are padded here, at the end.
_PADDED = RATE + RATE // 10


class Nemo:
    """The engine `nemo`. Not thread-safe. Its full attention needs memory by the square of a piece's length."""

    def __init__(self) -> None:
        nemo_logging.setLevel(logging.ERROR)
        # tells of telemetry that nobody switched on
        logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
        self._model: Any = None
        self._boosting: Any = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. NeMo unpacks the checkpoint into the temporary directory and removes it again."""
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
            self._hear([np.zeros(_PADDED, np.float32)], [[]], lambda: None)
        except Exception as error:
            raise load_error(error, file) from error
        return Facts(
            device=device,
            compute_type=compute_type,
            threads=threads,
            batch=few_pieces(request.concurrency, device),
            languages=request.model.languages or [],
            capabilities=_capabilities(hotwords=self._boosting.able),
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode. Pieces that may go together go into one call."""
        groups: defaultdict[tuple[Any, ...], list[Piece]] = defaultdict(list)
        for piece in pieces:
            groups[self._boosting.key(_languages(piece), piece.job.request.hotwords)].append(piece)
        found: dict[Piece, Outcome] = {}
        for group in groups.values():
            sounds = [np.pad(piece.samples, (0, max(0, _PADDED - len(piece.samples)))) for piece in group]
            wishes = [piece.job.request.hotwords for piece in group]
            with self._boosting.held(_languages(group[0]), wishes[0]), self._boosting.whole_call(wishes[0]):
                heard = self._hear(sounds, wishes, alive)
            for piece, hypothesis in zip(group, heard, strict=True):
                # The multilingual models choose the language by themselves and do not tell.
                found[piece] = Heard(list(segments_of(hypothesis, piece)), piece.language)
        return [found[piece] for piece in pieces]

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)

    def _hear(self, sounds: list[NDArray[np.float32]], wishes: list[list[str]], alive: Callable[[], None]) -> list[Any]:
        """One hypothesis for each sound, with its keywords.

        With times, a whole batch fails when one of its texts has only tokens of no duration: then each is tried alone,
        and that one without times.
        """
        alive()
        try:
            return self._recognize(sounds, wishes, timestamps=True)
        except ValueError:
            log.info("NeMo found no times for one of %d pieces", len(sounds))
        if len(sounds) > 1:
            return [
                hypothesis
                for sound, words in zip(sounds, wishes, strict=True)
                for hypothesis in self._hear([sound], [words], alive)
            ]
        alive()
        return self._recognize(sounds, wishes, timestamps=False)

    def _recognize(self, sounds: list[NDArray[np.float32]], wishes: list[list[str]], *, timestamps: bool) -> list[Any]:
        # As an object, because the classes of models differ in their arguments. `timestamps` is said every time: None
        # after True gives an empty list.
        settings = TranscribeConfig(
            use_lhotse=False,
            batch_size=len(sounds),
            return_hypotheses=True,
            timestamps=timestamps,
            num_workers=0,
            verbose=False,
            partial_hypothesis=self._boosting.hypotheses(wishes),
        )
        heard: list[Any] = self._model.transcribe(audio=sounds, override_config=settings)
        return heard


def _languages(piece: Piece) -> tuple[str, ...]:
    return tuple([piece.language] if piece.language else piece.job.request.languages or [])


def _capabilities(*, hotwords: bool) -> Capabilities:
    return Capabilities(
        tasks=["transcribe"],
        word_timestamps=True,
        # NeMo's confidence is a measure of entropy, not a probability.
        logprobs=False,
        prompt=False,
        temperature=False,
        # not with a model of characters, which has no tokenizer for phrases
        hotwords=hotwords,
        detects_language=False,
        neutral=["tokens", "no_speech_prob", "avg_logprob"],
    )


def create() -> Nemo:
    """The engine, without a model."""
    return Nemo()
