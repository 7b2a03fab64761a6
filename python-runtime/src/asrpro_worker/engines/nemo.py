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

from asrpro_worker.engines import nemo_devices
from asrpro_worker.engines.base import Facts, Recognition
from asrpro_worker.engines.nemo_checkpoint import check_checkpoint, load_error
from asrpro_worker.engines.nemo_hypothesis import segments_of
from asrpro_worker.engines.refusal import refuse
from asrpro_worker.engines.threads import thread_count
from asrpro_worker.errors import WorkerError
from asrpro_worker.longform import pieces
from asrpro_worker.messages import Capabilities
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from asrpro_worker.job import Job
    from asrpro_worker.messages import Load, ProbedDevice, Segment
    from asrpro_worker.pcm import Pcm

log = logging.getLogger(__name__)

# Less than this the models answer with invented text.
_SHORTEST = RATE // 10
# Shorter arrays are padded by NeMo on both sides, which shifts the times; so they are padded here, at the end.
_PADDED = RATE + RATE // 10
# A CPU gains nothing from several pieces at once; a GPU does, for the price of a later first text.
_BATCH = {"cuda": 8}

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
    """The engine `nemo`. Not thread-safe, so there is one job at a time, on the main thread.

    Audio goes in as pieces of at most 30 s: the memory of the full attention grows with the square of the length.
    """

    def __init__(self) -> None:
        nemo_logging.setLevel(logging.ERROR)
        # tells of telemetry that nobody switched on
        logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
        self._model: Any = None
        self._facts: Facts | None = None

    def load(self, request: Load, phase: Callable[[Literal["weights", "warm-up"]], None]) -> Facts:
        """See Engine.load. NeMo unpacks the checkpoint into the temporary directory and removes it again."""
        file = check_checkpoint(Path(request.model.path).absolute())
        device = nemo_devices.resolve(request.device)
        compute_type = nemo_devices.check_compute_type(request.compute_type)
        threads = thread_count(request.threads)
        torch.set_num_threads(threads)
        phase("weights")
        try:
            model = ASRModel.restore_from(str(file), map_location=torch.device(device))
            model.eval()
            _without_cuda_graphs(model)
            self._model = model
            phase("warm-up")
            self._hear([np.zeros(_PADDED, np.float32)])
        except Exception as error:
            raise load_error(error, file) from error
        self._facts = Facts(
            device=device,
            compute_type=compute_type,
            threads=threads,
            concurrency=1,
            languages=request.model.languages or [],
            capabilities=_CAPABILITIES,
        )
        return self._facts

    def transcribe(self, job: Job, pcm: Pcm) -> Recognition:
        """See Engine.transcribe."""
        if self._facts is None:
            raise WorkerError("model_not_ready", "No model is loaded.")
        request, languages = job.request, self._facts.languages
        refuse(request, _CAPABILITIES, languages)
        # The multilingual models choose the language by themselves and do not tell.
        language = request.language or (languages[0] if len(languages) == 1 else None)
        return Recognition(language, None, self._segments(job, pcm, self._facts.device))

    def probe(self, device: str) -> ProbedDevice:
        """See Engine.probe."""
        return nemo_devices.probe(device)

    def _segments(self, job: Job, pcm: Pcm, device: str) -> Iterator[Segment]:
        number, size = 0, _BATCH.get(device.partition(":")[0], 1)
        for batch in _batches(pieces(pcm, job.progress), size):
            job.progress(batch[0][0] / RATE)
            sounds = [pcm.read(start, stop) for start, stop in batch]
            for (start, stop), hypothesis in zip(batch, self._hear(sounds), strict=True):
                for segment in segments_of(hypothesis, start, stop, number, job.request):
                    yield segment
                    number += 1

    def _hear(self, sounds: list[NDArray[np.float32]]) -> list[Any]:
        """One hypothesis for each sound.

        With times, a whole batch fails when one of its texts has only tokens of no duration: then each is tried alone,
        and that one without times.
        """
        sounds = [np.pad(sound, (0, max(0, _PADDED - len(sound)))) for sound in sounds]
        try:
            return self._recognize(sounds, timestamps=True)
        except ValueError:
            log.info("NeMo found no times for one of %d pieces", len(sounds))
        return [self._hear_alone(sound) for sound in sounds]

    def _hear_alone(self, sound: NDArray[np.float32]) -> Any:
        try:
            return self._recognize([sound], timestamps=True)[0]
        except ValueError:
            return self._recognize([sound], timestamps=False)[0]

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


def _batches(spans: Iterator[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    """The first alone, so that its text does not wait for others."""
    batch: list[tuple[int, int]] = []
    wanted = 1
    for span in spans:
        batch.append(span)
        if len(batch) == wanted:
            yield batch
            batch, wanted = [], size
    if batch:
        yield batch


def _without_cuda_graphs(model: Any) -> None:
    """CUDA graphs break `torch.load` for the whole process and crash on some GPUs."""
    greedy = model.cfg.get("decoding", {}).get("greedy")
    if greedy is None or not hasattr(model, "joint"):
        return
    decoding = model.cfg.decoding
    with open_dict(decoding):
        decoding.greedy.use_cuda_graph_decoder = False
    model.change_decoding_strategy(decoding, verbose=False)
