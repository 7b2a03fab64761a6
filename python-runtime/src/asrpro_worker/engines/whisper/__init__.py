"""The engine `faster-whisper`: Whisper in CTranslate2 format."""
