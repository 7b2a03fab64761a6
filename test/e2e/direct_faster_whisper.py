"""Transcribes files with faster-whisper itself: `MODEL FILE...` -> JSON list of their texts."""

import json
import sys

from faster_whisper import WhisperModel

model_path, *files = sys.argv[1:]
model = WhisperModel(model_path, device="cpu", compute_type="int8", local_files_only=True)
texts = ["".join(segment.text for segment in model.transcribe(file, beam_size=5)[0]).strip() for file in files]
json.dump(texts, sys.stdout)
