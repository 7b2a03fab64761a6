"""python cut_audio.py SOURCE TARGET < [[start, stop], ...]: writes those seconds of a file as TARGET/0.wav, 1.wav ..."""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from faster_whisper import decode_audio

source, target = Path(sys.argv[1]), Path(sys.argv[2])
samples = (decode_audio(str(source)) * 32767).astype(np.int16)
for index, (start, stop) in enumerate(json.load(sys.stdin)):
    with wave.open(str(target / f"{index}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples[round(start * 16_000) : round(stop * 16_000)].tobytes())
