"""Writes the first seconds of a recording, their number on stdin, as a mono WAV of 16 kHz: `INPUT OUTPUT`."""

import sys
import wave

from faster_whisper import decode_audio

source, output = sys.argv[1:]
samples = decode_audio(source)[: int(float(sys.stdin.read()) * 16_000)]
with wave.open(output, "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(16_000)
    file.writeframes((samples * 32767).astype("<i2").tobytes())
