"""Logs: one line a record, as text or as JSON, to standard error."""

import json
import logging
import sys
from datetime import UTC, datetime

__all__ = ["set_up_logging"]

_LEVELS = {logging.DEBUG: "D", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "F"}


class _Text(logging.Formatter):
    """`I1124 02:03:04.567890 publish: message key=value`, near to what Kubernetes' own programs write."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%m%d %H:%M:%S.%f")
        facts = "".join(f" {name}={_quote(value)}" for name, value in getattr(record, "facts", {}).items())
        text = " ".join(record.getMessage().split())
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_LEVELS.get(record.levelno, '?')}{time} {record.name}: {text}{facts}{trace}"


def _quote(value: object) -> str:
    """A value as it stands, or as JSON writes it if a reader could not tell where it ends."""
    text = str(value)
    return text if text.isprintable() and text and not set(' "=') & set(text) else json.dumps(text)


class _Json(logging.Formatter):
    """One object a line, with the facts of the record beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        found = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def set_up_logging(form: str, verbosity: int) -> None:
    """Sends every log of the process to standard error; `verbosity` from 4 up includes debugging."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=logging.DEBUG if verbosity >= 4 else logging.INFO, handlers=[handler], force=True)  # noqa: PLR2004
    # What no line of ours shows is not looked up: the caller's place, thread, process and task of each record.
    logging._srcfile = None  # noqa: SLF001 - the library's own advice (logging HOWTO, Optimization)
    for name in ("logThreads", "logMultiprocessing", "logProcesses", "logAsyncioTasks"):
        setattr(logging, name, False)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
