"""Rejects requests that the loaded model cannot fulfil. The gateway makes the same checks before it queues a job.

Prompt, temperature and keywords are hints: a model without support for them ignores them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import Capabilities, Transcribe


def refuse(request: Transcribe, capabilities: Capabilities, languages: list[str]) -> None:
    """Raise `unsupported_value` or `unsupported_language` with the name of the invalid field."""
    if request.task not in capabilities.tasks:
        raise WorkerError(
            "unsupported_value", "This model cannot translate; choose a multilingual Whisper model or Canary."
        )
    if request.word_timestamps and not capabilities.word_timestamps:
        message = "This model does not support word timestamps."
        raise WorkerError("unsupported_value", message, "timestamp_granularities")
    if request.logprobs and not capabilities.logprobs:
        raise WorkerError("unsupported_value", "This model does not support log-probabilities.", "include")
    if request.language is not None and languages and request.language not in languages:
        message = f"This model does not know the language '{request.language}'. Choose a multilingual model."
        raise WorkerError("unsupported_language", message, "language")
