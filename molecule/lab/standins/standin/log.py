"""Logs as one JSON object per line on stdout."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from .settings import Settings

_log = logging.getLogger("standin")


class JsonLines(logging.Formatter):
    """A record as JSON, with who is speaking in every line."""

    def __init__(self, speaker: dict[str, str]) -> None:
        super().__init__()
        self._speaker = speaker

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._speaker,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}" if record.exc_info[0] else ""
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start_logging(settings: Settings, stream: TextIO = sys.stdout) -> None:
    """Send all logs of this process to `stream`, libraries' included (those from warning up)."""
    speaker = {"stack": settings.profile.name, "release": settings.release, "service": settings.service}
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(speaker))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # The pool repeats each failed attempt; health and pages already say it.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    _log.setLevel(settings.log_level.upper())


def tell(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log `event` with `fields`; never hand a secret to it."""
    _log.log(level, event, extra={"fields": fields})
