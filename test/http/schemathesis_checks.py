"""Checks for schemathesis that know the intended failures of the mock models."""

import schemathesis

# Mock models cause these codes on purpose. No model causes `internal_error`.
MADE_TO_FAIL = {"model_broken", "model_load_failed", "worker_crashed", "out_of_memory", "worker_unresponsive"}


@schemathesis.check
def only_failures_on_purpose(_context, response, _case) -> None:
    """A 5xx answer is a 503 with a time to wait, or the intended failure of a mock model."""
    if response.status_code < 500:
        return
    error = response.json()["error"]
    if response.status_code == 503:
        assert 1 <= int(response.headers["retry-after"][0]) <= 60, error
    else:
        assert error["code"] in MADE_TO_FAIL, error


@schemathesis.check
def named(_context, response, _case) -> None:
    """Every answer has a request id, and every error has the four keys."""
    assert response.headers["x-request-id"][0]
    if response.status_code >= 400:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
