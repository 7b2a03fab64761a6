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

# After some seconds of a tone, hum, noise or music the model misses up to 5 s of the speech that follows. With 20 s of
# ten such sounds before 20 recordings, 12.4 s of speech were lost, and 0.1 s with a fresh state.
# So where speech begins after _QUIET windows without any, the windows before it are heard again with a fresh state,
# _BACK at a time.
_QUIET = 125
_BACK = 62
_MOST_STEPS_BACK = 4
# Windows that are decided together, and those that are held back because later speech may change them.
_STEP = 313
_HELD = _MOST_STEPS_BACK * _BACK


def speech_probabilities(sound: Sound, visit: Callable[[float], None]) -> Iterator[NDArray[np.float32]]:
    """Probability of speech for each window of 512 samples, in order, in arrays of shape (n,).

    `visit` is called before each minute with its start in seconds, and may raise to stop.
    """
    detector = _Detector()
    context = np.zeros(_CONTEXT, np.float32)
    for start in range(0, sound.samples, _BLOCK * WINDOW):
        visit(start / RATE)
        samples = sound.read(start, min(start + _BLOCK * WINDOW, sound.samples))
        windows = _audible(np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW))
        before = np.concatenate([context[None], windows[:-1, -_CONTEXT:]])
        context = windows[-1, -_CONTEXT:]
        detector.add(np.hstack([before, windows]))
        yield detector.take(_HELD)
    yield detector.take(0)


class _Detector:
    """The model with its state, and the windows whose probabilities may still change."""

    def __init__(self) -> None:
        self._inputs = np.empty((0, _CONTEXT + WINDOW), np.float32)
        self._likely = np.empty(0, np.float32)
        self._state = _new_state()
        # The window after the last one with speech; negative where it was handed out.
        self._quiet_from = 0

    def add(self, inputs: NDArray[np.float32]) -> None:
        """Windows with the samples before each, shape (n, 576)."""
        self._inputs = np.concatenate([self._inputs, inputs])
        for start in range(len(self._likely), len(self._inputs), _STEP):
            likely, self._state = _run(self._inputs[start : start + _STEP], self._state)
            self._likely = np.append(self._likely, likely)
            for at in range(start, len(self._likely)):
                if self._likely[at] < SPEECH:
                    continue
                if at - self._quiet_from >= _QUIET:
                    self._hear_again(at)
                self._quiet_from = at + 1

    def take(self, held: int) -> NDArray[np.float32]:
        """All probabilities but those of the last `held` windows."""
        count = max(0, len(self._likely) - held)
        taken, self._likely = np.split(self._likely, [count])
        self._inputs = self._inputs[count:]
        self._quiet_from -= count
        return taken

    def _hear_again(self, onset: int) -> None:
        """Go on with a fresh state from shortly before `onset`, where speech was found after a pause.

        The windows before that are heard too, as long as each look back finds an earlier onset.
        """
        stop = len(self._likely)
        for step in range(_MOST_STEPS_BACK):
            start = max(0, self._quiet_from, onset - _BACK)
            likely, state = _run(self._inputs[start:stop], _new_state())
            self._likely[start:stop] = np.maximum(self._likely[start:stop], likely)
            if step == 0:
                self._state = state
            earlier = np.flatnonzero(likely[: onset - start] >= SPEECH)
            if len(earlier) == 0:
                break
            stop, onset = onset, start + int(earlier[0])


_State = dict[str, "NDArray[np.float32]"]


def _new_state() -> _State:
    return {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}


def _run(inputs: NDArray[np.float32], state: _State) -> tuple[NDArray[np.float32], _State]:
    likely, h, c = _session().run(None, {"input": inputs, **state})
    return likely.reshape(-1), {"h": h, "c": c}


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
