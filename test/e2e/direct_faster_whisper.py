"""Transcribes files with faster-whisper itself: `MODEL FILE...` -> one JSON object of file and text."""

import json
import sys

from faster_whisper import WhisperModel

model_path, *files = sys.argv[1:]
model = WhisperModel(model_path, device="cpu", compute_type="int8", local_files_only=True)
texts = {}
for file in files:
    segments, _ = model.transcribe(file, beam_size=5)
    texts[file] = "".join(segment.text for segment in segments).strip()
json.dump(texts, sys.stdout)
