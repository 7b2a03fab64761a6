"""Finds speech with the Silero VAD that faster-whisper ships, one block of audio at a time.

An hour in one call peaks above 1.1 GB; blocks that pass on the model's state give the same probabilities within a few
MB. Measured on 300 files, the highest probability of a file was at least 0.87 with speech in it, and at most 0.28 for
silence, white noise and a tone. The VAD runs at 400 to 900 times real time on one core.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrpro_worker.pcm import RATE
from asrpro_worker.vad_input import MARGIN, WINDOW, audible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import onnxruntime
    from numpy.typing import NDArray

    from asrpro_worker.sound import Sound

# The model also sees this many samples before each window.
_CONTEXT = 64
# Windows per block: one minute.
_BLOCK = 1875

SPEECH = 0.4
"""Windows with at least this probability count as speech."""

# After some seconds of a tone, hum, noise or music, the model misses up to 5 s of the following speech. With 20 s of
# ten such sounds before 12 recordings, 12.4 s of speech were lost; with a fresh state, 0.1 s, and 20 s more of the
# 2400 s of sound are kept. If speech begins after _QUIET windows without any, the windows before it are therefore
# analysed again with a fresh state, _STEP_BACK at a time. The constants were chosen on these recordings.
_QUIET = 125
_STEP_BACK = 62
_MAX_STEPS_BACK = 4
# Windows per call of the model, and windows that are held back because later speech may change their probabilities.
_STEP = 313
_HELD = _MAX_STEPS_BACK * _STEP_BACK


def speech_probabilities(sound: Sound, visit: Callable[[float], None]) -> Iterator[NDArray[np.float32]]:
    """Yield the probability of speech in each window of 512 samples, in order, in arrays of shape (n,).

    `visit` is called before each minute with its start in seconds, and may raise to stop.
    """
    detector = _Detector()
    start = 0
    while sound.reaches(start):
        visit(start / RATE)
        margin = min(start, MARGIN * WINDOW)
        windows = audible(sound.read(start - margin, start + (_BLOCK + MARGIN) * WINDOW))
        ends = np.pad(windows[:-1, -_CONTEXT:], ((1, 0), (0, 0)))
        first = margin // WINDOW
        detector.add(np.hstack([ends, windows])[first : first + _BLOCK])
        yield detector.take(_HELD)
        start += _BLOCK * WINDOW
    yield detector.take(0)


class _Detector:
    """The model with its state, and the windows whose probabilities may still change."""

    def __init__(self) -> None:
        self._inputs = np.empty((0, _CONTEXT + WINDOW), np.float32)
        self._speech = np.empty(0, np.float32)
        self._state = _new_state()
        # The window after the last one with speech; negative if that was already taken.
        self._quiet_from = 0

    def add(self, inputs: NDArray[np.float32]) -> None:
        """Analyse windows, each with the samples before it, shape (n, 576)."""
        self._inputs = np.concatenate([self._inputs, inputs])
        for start in range(len(self._speech), len(self._inputs), _STEP):
            speech, self._state = _run(self._inputs[start : start + _STEP], self._state)
            self._speech = np.append(self._speech, speech)
            for at in range(start, len(self._speech)):
                if self._speech[at] < SPEECH:
                    continue
                if at - self._quiet_from >= _QUIET:
                    self._analyse_again(at)
                self._quiet_from = at + 1

    def take(self, held: int) -> NDArray[np.float32]:
        """Remove and return all probabilities except those of the last `held` windows."""
        count = max(0, len(self._speech) - held)
        taken, self._speech = np.split(self._speech, [count])
        self._inputs = self._inputs[count:]
        self._quiet_from -= count
        return taken

    def _analyse_again(self, onset: int) -> None:
        """Continue with a fresh state from shortly before `onset`, where speech was found after a pause.

        The windows before that are analysed too, as long as each step back finds an earlier onset.
        """
        stop = len(self._speech)
        for step in range(_MAX_STEPS_BACK):
            start = max(0, self._quiet_from, onset - _STEP_BACK)
            speech, state = _run(self._inputs[start:stop], _new_state())
            self._speech[start:stop] = np.maximum(self._speech[start:stop], speech)
            if step == 0:
                self._state = state
            earlier = np.flatnonzero(speech[: onset - start] >= SPEECH)
            if len(earlier) == 0:
                break
            stop, onset = onset, start + int(earlier[0])


_State = dict[str, "NDArray[np.float32]"]


def _new_state() -> _State:
    return {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}


def _run(inputs: NDArray[np.float32], state: _State) -> tuple[NDArray[np.float32], _State]:
    speech, h, c = _session().run(None, {"input": inputs, **state})
    return speech.reshape(-1), {"h": h, "c": c}


def vad_model() -> Path:
    """The path of the VAD in the package faster-whisper, found without importing it: that would load CTranslate2."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("faster_whisper")
    return min((Path(spec.origin).parent / "assets").glob("silero_vad*.onnx"))


def preload() -> None:
    """Load the VAD, so that the first file need not wait for it."""
    _session()


@functools.cache
def _session() -> onnxruntime.InferenceSession:
    # The import takes 45 ms of CPU time; `preload` runs it while the weights are loaded.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread is the fastest for a model this small. Without the arena its memory is freed after each block.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(vad_model(), sess_options=options, providers=["CPUExecutionProvider"])
