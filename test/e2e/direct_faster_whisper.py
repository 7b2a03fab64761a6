"""Transcribes files with faster-whisper itself: `MODEL FILE...` -> JSON object of file -> text and highest temperature."""

import json
import sys

from faster_whisper import WhisperModel

model_path, *files = sys.argv[1:]
model = WhisperModel(model_path, device="cpu", compute_type="int8", local_files_only=True)
answers = {}
for file in files:
    segments = list(model.transcribe(file, beam_size=5)[0])
    answers[file] = {
        "text": "".join(segment.text for segment in segments).strip(),
        "temperature": max((segment.temperature for segment in segments), default=0.0),
    }
json.dump(answers, sys.stdout)
