"""faster-whisper called directly, with its defaults: a line of JSON in, a line of JSON out.

`{"model": DIRECTORY}` loads; `{"warm": true}` hears a second of silence; `{"file", "language"}` transcribes. Answers hold `seconds` and, for a file, `text` and the
seconds until the first segment.
"""

import json
import sys
import time

start = time.perf_counter()
import numpy as np  # noqa: E402
from faster_whisper import WhisperModel  # noqa: E402

imported = time.perf_counter() - start
model = None
for line in sys.stdin:
    order = json.loads(line)
    begin = time.perf_counter()
    if "model" in order:
        # int8 as in the product: the default would be float32 on a CPU and several times slower.
        model = WhisperModel(order["model"], device="cpu", compute_type="int8", local_files_only=True)
        answer = {"imported": imported}
    elif "warm" in order:
        list(model.transcribe(np.zeros(16_000, np.float32), language="en", beam_size=1, max_new_tokens=4)[0])
        answer = {}
    else:
        segments, info = model.transcribe(order["file"], language=order["language"], beam_size=5)
        texts, first = [], None
        for segment in segments:
            first = first or time.perf_counter() - begin
            texts.append(segment.text)
        answer = {"text": "".join(texts).strip(), "first": first, "language": info.language}
    print(json.dumps({**answer, "seconds": time.perf_counter() - begin}), flush=True)
