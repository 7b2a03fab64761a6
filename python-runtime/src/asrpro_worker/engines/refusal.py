"""Refuses what the loaded model cannot honour. The gateway refuses the same before it queues anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import Capabilities, Transcribe


def refuse(request: Transcribe, capabilities: Capabilities, languages: list[str]) -> None:
    """Raise `unsupported_value` or `unsupported_language` with the field at fault."""
    if request.task not in capabilities.tasks:
        raise WorkerError("unsupported_value", "This model cannot translate; choose a multilingual Whisper model.")
    asked = (
        (request.word_timestamps, capabilities.word_timestamps, "word timestamps", "timestamp_granularities"),
        (request.logprobs, capabilities.logprobs, "log-probabilities", "include"),
        (request.prompt, capabilities.prompt, "a prompt", "prompt"),
        (request.temperature, capabilities.temperature, "a temperature", "temperature"),
        (request.hotwords, capabilities.hotwords, "hotwords", "hotwords"),
    )
    for wanted, able, what, param in asked:
        if wanted and not able:
            raise WorkerError("unsupported_value", f"This model has no support for {what}.", param)
    if request.language is not None and languages and request.language not in languages:
        known = f"This model does not know the language '{request.language}'."
        raise WorkerError("unsupported_language", f"{known} Choose a multilingual model.", "language")
