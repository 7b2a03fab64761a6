"""Logging as JSON lines on stderr, which the gateway copies into its own log."""

from __future__ import annotations

import json
import logging
import sys
import traceback

_LEVELS = {"trace": "DEBUG", "silent": "CRITICAL", "fatal": "CRITICAL", "warn": "WARNING"}


class _JsonLines(logging.Formatter):
    """One line per record: level, time in ms since the epoch, logger, message and the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": record.levelname.lower().replace("warning", "warn"),
            "time": int(record.created * 1000),
            "name": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            line["err"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def start_logging(level: str) -> None:
    """Send all Python log records to stderr. `level` is one of pino's names; an unknown name means `info`."""
    number = logging.getLevelName(_LEVELS.get(level, level.upper()))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("asrpro_worker").setLevel(number if isinstance(number, int) else logging.INFO)
