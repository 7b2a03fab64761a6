"""python direct.py KIND MODEL: a library called directly with its defaults, a line of JSON in, a line of JSON out.

`{"file", "keywords"?, "words"?}` gives `{"text"}`, with `words` also [[word, start in seconds], ...].
"""

import json
import sys

from faster_whisper import WhisperModel, decode_audio

kind, path = sys.argv[1:]
if kind == "onnx-asr":
    import onnx_asr

    recogniser = onnx_asr.load_model("whisper", path, quantization="quantized")
else:
    model = WhisperModel(path, device="cpu", compute_type="int8", local_files_only=True)
for line in sys.stdin:
    order = json.loads(line)
    if kind == "onnx-asr":
        answer = {"text": recogniser.recognize(decode_audio(order["file"]))}
    else:
        hotwords = ", ".join(order.get("keywords") or []) or None
        segments, _ = model.transcribe(order["file"], hotwords=hotwords, word_timestamps=bool(order.get("words")))
        heard = list(segments)
        answer = {"text": "".join(segment.text for segment in heard).strip()}
        if order.get("words"):
            answer["words"] = [[word.word, word.start] for segment in heard for word in segment.words]
    print(json.dumps(answer), flush=True)
