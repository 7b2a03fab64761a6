"""Whisper in CTranslate2 form, the engine `faster-whisper`."""
