"""python make_names.py: speaks the sentences of test/audio/names/manifest.tsv with espeak-ng into Opus files beside it.

Voices, speeds, pitches and noise change from sentence to sentence and are the same every time. Only for changes to the set: the
files are in the repository, so a run of the bench needs no espeak-ng.
"""

import csv
import io
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np

VOICES = ["en-us", "en-gb", "en-us+f3", "en-gb+f2", "en-us+m3", "en-gb-scotland", "en-gb-x-rp+f4", "en-us+m7"]
SPEEDS = [135, 150, 165]
# Hiss below the speech, in parts of its level.
NOISE = [0.0, 0.03, 0.1]
FOLDER = Path(__file__).parents[2] / "test" / "audio" / "names"

if shutil.which("espeak-ng") is None:
    sys.exit("espeak-ng is not installed; the recordings in test/audio/names stay as they are.")
rng = np.random.default_rng(18)
with (FOLDER / "manifest.tsv").open(encoding="utf-8") as file:
    rows = list(csv.DictReader(file, delimiter="\t"))
for number, row in enumerate(rows):
    voice, speed = VOICES[number % len(VOICES)], SPEEDS[number % len(SPEEDS)]
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(35 + 10 * (number % 4)), "--stdout", row["reference"]]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(10**9), np.int16).astype(np.float32) / 32768
    level = np.sqrt(np.mean(samples**2))
    samples = np.clip(samples + rng.normal(0, NOISE[number % 3] * level, len(samples)), -1, 1).astype(np.float32)
    with av.open(str(FOLDER / row["file"]), "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=24_000, layout="mono", options={"b": "16k", "application": "voip"})
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=24_000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
