"""Joins recordings into one mono WAV file of 16 kHz: `OUTPUT FILE...`."""

import sys
import wave

import av

output, *files = sys.argv[1:]
with wave.open(output, "wb") as joined:
    joined.setnchannels(1)
    joined.setsampwidth(2)
    joined.setframerate(16_000)
    for file in files:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        with av.open(file) as container:
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    joined.writeframes(part.to_ndarray().tobytes())
