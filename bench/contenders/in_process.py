"""faster-whisper called directly, with its defaults: a line of JSON in, a line of JSON out.

`{"model": DIRECTORY, "gpu": BOOLEAN}` loads, on a GPU only where it is true and there is one; `{"warm": true}` hears a
second of silence; `{"file", "language"}` transcribes, and with `"pieces": N` by the library's batched pipeline. Answers
hold `seconds` and, for a file, `text` and the seconds until the first segment.
"""

import json
import sys
import time

start = time.perf_counter()
import ctranslate2  # noqa: E402
import numpy as np  # noqa: E402
from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: E402

imported = time.perf_counter() - start
model = None
for line in sys.stdin:
    order = json.loads(line)
    begin = time.perf_counter()
    if "model" in order:
        gpu = order["gpu"] and ctranslate2.get_cuda_device_count() > 0
        # As in the product: the default on a CPU would be float32 and several times slower.
        device, compute_type = ("cuda", "float16") if gpu else ("cpu", "int8")
        model = WhisperModel(order["model"], device=device, compute_type=compute_type, local_files_only=True)
        answer = {"imported": imported}
    elif "warm" in order:
        list(model.transcribe(np.zeros(16_000, np.float32), language="en", beam_size=1, max_new_tokens=4)[0])
        answer = {}
    else:
        asked = {"audio": order["file"], "language": order["language"], "beam_size": 5}
        if "pieces" in order:
            segments, info = BatchedInferencePipeline(model).transcribe(**asked, batch_size=order["pieces"])
        else:
            segments, info = model.transcribe(**asked)
        texts, first = [], None
        for segment in segments:
            first = first or time.perf_counter() - begin
            texts.append(segment.text)
        answer = {"text": "".join(texts).strip(), "first": first, "language": info.language}
    print(json.dumps({**answer, "seconds": time.perf_counter() - begin}), flush=True)
