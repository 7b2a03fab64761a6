"""The exception that the worker sends to the gateway as an answer."""

from __future__ import annotations


class WorkerError(Exception):
    """A failure that the gateway passes on to its client.

    `code` is a key of the table in src/errors.ts. `message` says what is wrong and what the user can do, and never
    contains a path. `param` names the invalid field of the request.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class ClusterError(WorkerError):
    """The connection to the engine failed. This does not depend on the pieces, so retrying them alone is pointless."""


class JobCancelledError(Exception):
    """The gateway cancelled this job."""


# Messages of the native libraries for a failed allocation; they raise RuntimeError for every error.
_OUT_OF_MEMORY = (
    "out of memory",
    "bad_alloc",
    "failed to allocate",
    "cannot allocate memory",
    "insufficient memory",
    "[metal::malloc]",
)


def known_error(error: Exception) -> WorkerError | None:
    """The answer for an exception that means the same in every engine, else None."""
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY):
        return WorkerError("out_of_memory", "The worker ran out of memory; choose a smaller model or compute type.")
    return None


def as_worker_error(error: Exception) -> WorkerError:
    """Turn any exception into an answer. The text of an unknown exception goes to the log only."""
    unknown = WorkerError("internal_error", "The engine failed on this request; the log has the details.")
    return known_error(error) or unknown
