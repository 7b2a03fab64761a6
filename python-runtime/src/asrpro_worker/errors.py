"""The one exception that crosses the wire."""

from __future__ import annotations


class WorkerError(Exception):
    """A failure that the gateway answers with.

    `code` is a key of the catalogue in src/errors.ts. `message` is for people: what is wrong and what to do, without
    any path. `param` names the request field at fault.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class ClusterError(WorkerError):
    """A failure of the way to the engine, whatever the pieces are: to try each alone would be as vain."""


class JobCancelledError(Exception):
    """The gateway asked for the end of this job."""


# What the native libraries say when an allocation fails; they raise RuntimeError for everything.
_OUT_OF_MEMORY = ("out of memory", "bad_alloc", "failed to allocate", "cannot allocate memory")


def as_worker_error(error: Exception) -> WorkerError:
    """Anything raised while working, as an answer. An unknown exception tells its text to the log only."""
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
        return WorkerError("out_of_memory", "The worker ran out of memory; choose a smaller model or compute type.")
    return WorkerError("internal_error", "The engine failed on this request; the log has the details.")
