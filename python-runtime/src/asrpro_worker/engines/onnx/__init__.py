"""Parakeet and Whisper as ONNX, the engine `onnx-asr`."""
