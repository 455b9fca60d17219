"""The log of a process: one JSON object per line, or a readable format on a terminal.

A record's message is the name of an event (`job-queued`); its details are in `extra={"fields": {…}}`. Every line passes
through `redact` last, so that no logger, also none of a library, can write a secret.
"""

import errno
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from danube_pkg.kit.full_disk import FULL
from danube_pkg.kit.terminal import json_text, visible

Redact = Callable[[str], str]

_DISK_ERRORS = FULL | {errno.EROFS, errno.EIO}

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "event": …, fields…, "error": traceback}`; times are ISO 8601 in UTC."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = _failure(self, record)
        return self._redact(json_text(line))


class HumanLines(logging.Formatter):
    """`12:00:00 warning danube.jobs: event key=value …`, and the traceback below it. Values may be of untrusted origin,
    so that their control sequences are made visible."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = "".join(f" {key}={value}" for key, value in _fields(record).items() if value not in ("", None))
        line = f"{time} {record.levelname.lower()} {record.name}: {record.getMessage()}{fields}"
        error = f"\n{_failure(self, record)}" if record.exc_info else ""
        return visible(self._redact(line + error))


def set_up_logging(stream: TextIO, wanted: str, redact: Redact) -> None:
    """Write the records of all loggers to `stream`. Other words in `wanted` are ignored, and a warning names them.

    wanted: words separated by commas: a level for all loggers (`trace`, `debug`, `info`, `warn`, `warning`, `error`;
    trace is debug), `NAME=LEVEL` for one logger, `json` or `human` for the format, which is JSON by default unless the
    stream is a terminal.
    """
    human = stream.isatty()
    levels: dict[str, int] = {"": logging.INFO}
    unknown: list[str] = []
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        name, equals, level = word.rpartition("=")
        if word in ("json", "human"):
            human = word == "human"
        elif level.lower() in _LEVELS and bool(name) == bool(equals):
            levels[name] = _LEVELS[level.lower()]
        else:
            unknown.append(word)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanLines(redact) if human else JsonLines(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name, number in levels.items():
        logging.getLogger(name).setLevel(number)
    if unknown:
        known = f"known: {', '.join(_LEVELS)}, NAME=LEVEL, json, human"
        EventLog("danube.log").warning("log-level-unknown", words=" ".join(unknown), hint=known)


def _failure(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback of a record's exception; for a disk that is full, read-only or broken one line, since the code that
    found it is not at fault and finds it at each try."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return f"{type(error).__name__}: {error}"
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


class EventLog:
    """A logger whose records are events with fields: `log.info("job-queued", job="01")`.

    It is one of `logging`'s loggers by that name, so that levels and handlers apply as usual; `logger` is that object.
    """

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, has_traceback=True)

    def _write(self, level: int, event: str, fields: dict[str, object], *, has_traceback: bool = False) -> None:
        # stacklevel: records name the caller of `info`, not these lines.
        self.logger.log(level, event, exc_info=has_traceback, extra={"fields": fields}, stacklevel=3)
