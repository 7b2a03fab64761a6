"""Refuses what the loaded model cannot honour. The gateway refuses the same before it queues anything.

A prompt, a temperature and keywords are hints: a model that takes none goes without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrpro_worker.errors import WorkerError

if TYPE_CHECKING:
    from asrpro_worker.messages import Capabilities, Transcribe


def refuse(request: Transcribe, capabilities: Capabilities, languages: list[str]) -> None:
    """Raise `unsupported_value` or `unsupported_language` with the field at fault."""
    if request.task not in capabilities.tasks:
        raise WorkerError(
            "unsupported_value", "This model cannot translate; choose a multilingual Whisper model or Canary."
        )
    if request.word_timestamps and not capabilities.word_timestamps:
        what = "This model has no support for word timestamps."
        raise WorkerError("unsupported_value", what, "timestamp_granularities")
    if request.logprobs and not capabilities.logprobs:
        raise WorkerError("unsupported_value", "This model has no support for log-probabilities.", "include")
    if request.language is not None and languages and request.language not in languages:
        known = f"This model does not know the language '{request.language}'."
        raise WorkerError("unsupported_language", f"{known} Choose a multilingual model.", "language")
