"""NVIDIA Parakeet as `.nemo` checkpoints, run by the framework that made them."""

from __future__ import annotations

import logging
import os
import tempfile
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
from omegaconf import open_dict

from asrpro_worker.engines.nemo import devices
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

_CAPABILITIES = Capabilities(
    tasks=["transcribe"],
    word_timestamps=True,
    # NeMo's confidence is a measure of entropy, not a probability.
    logprobs=False,
    prompt=False,
    temperature=False,
    hotwords=False,
    detects_language=False,
    neutral=["tokens", "no_speech_prob", "avg_logprob"],
)


class Nemo:
    """The engine `nemo`. Not thread-safe. Its full attention needs memory by the square of a piece's length."""

    def __init__(self) -> None:
        nemo_logging.setLevel(logging.ERROR)
        # tells of telemetry that nobody switched on
        logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
        self._model: Any = None

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
            _without_cuda_graphs(model)
            self._model = model
            phase("warm-up")
            self._hear([np.zeros(_PADDED, np.float32)], lambda: None)
        except Exception as error:
            raise load_error(error, file) from error
        return Facts(
            device=device,
            compute_type=compute_type,
            threads=threads,
            batch=few_pieces(request.concurrency, device),
            languages=request.model.languages or [],
            capabilities=_CAPABILITIES,
        )

    def decode(self, pieces: list[Piece], alive: Callable[[], None]) -> list[Outcome]:
        """See Engine.decode."""
        sounds = [np.pad(piece.samples, (0, max(0, _PADDED - len(piece.samples)))) for piece in pieces]
        # The multilingual models choose the language by themselves and do not tell.
        return [
            Heard(list(segments_of(hypothesis, piece)), piece.language)
            for piece, hypothesis in zip(pieces, self._hear(sounds, alive), strict=True)
        ]

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return devices.probe(device)

    def _hear(self, sounds: list[NDArray[np.float32]], alive: Callable[[], None]) -> list[Any]:
        """One hypothesis for each sound.

        With times, a whole batch fails when one of its texts has only tokens of no duration: then each is tried alone,
        and that one without times.
        """
        alive()
        try:
            return self._recognize(sounds, timestamps=True)
        except ValueError:
            log.info("NeMo found no times for one of %d pieces", len(sounds))
        if len(sounds) > 1:
            return [hypothesis for sound in sounds for hypothesis in self._hear([sound], alive)]
        alive()
        return self._recognize(sounds, timestamps=False)

    def _recognize(self, sounds: list[NDArray[np.float32]], *, timestamps: bool) -> list[Any]:
        # As an object, because the classes of models differ in their arguments. `timestamps` is said every time: None
        # after True gives an empty list.
        settings = TranscribeConfig(
            use_lhotse=False,
            batch_size=len(sounds),
            return_hypotheses=True,
            timestamps=timestamps,
            num_workers=0,
            verbose=False,
        )
        heard: list[Any] = self._model.transcribe(audio=sounds, override_config=settings)
        return heard


def create() -> Nemo:
    """The engine, without a model."""
    return Nemo()


def _without_cuda_graphs(model: Any) -> None:
    """CUDA graphs break `torch.load` for the whole process and crash on some GPUs."""
    greedy = model.cfg.get("decoding", {}).get("greedy")
    if greedy is None or not hasattr(model, "joint"):
        return
    decoding = model.cfg.decoding
    with open_dict(decoding):
        decoding.greedy.use_cuda_graph_decoder = False
    model.change_decoding_strategy(decoding, verbose=False)
