"""Where somebody speaks, found block by block with the Silero VAD that faster-whisper ships.

Over an hour at once it peaks above 1.1 GB; in blocks that hand their state on, the same probabilities need a few MB.
Measured on 300 files: the highest probability of a file was 0.87 and more with speech in it, and 0.28 and less for
silence, white noise and a tone. It runs at 400 to 900 times real time on one core.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import onnxruntime
    from numpy.typing import NDArray

    from asrpro_worker.sound import Sound

# Samples that one probability stands for (32 ms), and those before them that the model looks at.
WINDOW = 512
_CONTEXT = 64
# Windows in one block: one minute.
_BLOCK = 1875

# The model hears nothing in speech of -60 dB and below, and in some from -45 dB on: a quiet minute is made louder until
# its loudest windows, so many, are as loud as this. Noise and tones stay what they are at any loudness.
_LOUD = 0.03
_LOUDEST = 8

SPEECH = 0.4
"""A window with at least this probability is speech."""


def speech_probabilities(sound: Sound, visit: Callable[[float], None]) -> Iterator[NDArray[np.float32]]:
    """Probability of speech for each window of 512 samples, a block of shape (n,) at a time.

    `visit` is called before each block with its start in seconds, and may raise to stop.
    """
    session = _session()
    state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
    context = np.zeros(_CONTEXT, np.float32)
    for start in range(0, sound.samples, _BLOCK * WINDOW):
        visit(start / RATE)
        samples = sound.read(start, min(start + _BLOCK * WINDOW, sound.samples))
        windows = _audible(np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW))
        before = np.concatenate([context[None], windows[:-1, -_CONTEXT:]])
        context = windows[-1, -_CONTEXT:]
        probabilities, state["h"], state["c"] = session.run(None, {"input": np.hstack([before, windows]), **state})
        yield probabilities.reshape(-1)


def _audible(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    loudness = np.sqrt(np.square(windows).mean(axis=1))
    level = np.partition(loudness, -_LOUDEST)[-_LOUDEST] if len(loudness) >= _LOUDEST else loudness.max()
    return windows * np.float32(_LOUD / level) if 0 < level < _LOUD else windows


def vad_model() -> Path:
    """The VAD's file in faster-whisper's package, which is not imported: that would load CTranslate2 as well."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("faster_whisper")
    return next(iter(sorted((Path(spec.origin).parent / "assets").glob("silero_vad*.onnx"))))


def ready() -> None:
    """Load the VAD, which the first file would wait for."""
    _session()


@functools.cache
def _session() -> onnxruntime.InferenceSession:
    # 45 ms, which are spent beside the loading of the weights.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread is the fastest for a model this small; without the arena its memory goes back after each block.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(vad_model(), sess_options=options, providers=["CPUExecutionProvider"])
