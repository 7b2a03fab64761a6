"""The engine `onnx-asr`: Parakeet, Canary, GigaAM and Whisper as ONNX."""
