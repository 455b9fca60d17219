"""Events in the log: the same lines as `logging` itself writes, with fewer words in the code."""

import errno
import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from danube_pkg.kit.logs import EventLog, HumanLines, JsonLines, set_up_logging

NAME = "danube.test-events"


@pytest.fixture(name="stream")
def json_lines() -> Iterator[io.StringIO]:
    """What the logger `NAME` writes from level info on."""
    stream, logger = io.StringIO(), logging.getLogger(NAME)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(lambda text: text))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Each line's object, without its time."""
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [{name: value for name, value in one.items() if name != "time"} for one in found]


def test_an_event_is_written_like_a_record_with_fields(stream: io.StringIO) -> None:
    EventLog(NAME).info("job-queued", job="01", event_count=2)
    logging.getLogger(NAME).info("job-queued", extra={"fields": {"job": "01", "event_count": 2}})
    ours, theirs = lines(stream)
    assert ours == theirs
    assert ours == {"level": "info", "logger": NAME, "event": "job-queued", "job": "01", "event_count": 2}


def test_levels_apply_and_an_exception_has_its_traceback(stream: io.StringIO) -> None:
    log = EventLog(NAME)
    log.debug("not-written")
    log.warning("a-warning")
    log.error("an-error", cause="x")
    try:
        raise ZeroDivisionError("a bug")
    except ZeroDivisionError:
        log.exception("a-bug", job="01")
    warning, error, bug = lines(stream)
    assert (warning["level"], error["level"], error["cause"]) == ("warning", "error", "x")
    assert (bug["level"], bug["job"]) == ("error", "01")
    assert "ZeroDivisionError: a bug" in str(bug["error"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_is_full_or_broken_is_one_line_without_a_traceback(stream: io.StringIO, number: int) -> None:
    try:
        raise OSError(number, os.strerror(number), "/data/logs/01.log")
    except OSError:
        EventLog(NAME).exception("task-failed", job="01")
    (line,) = lines(stream)
    assert os.strerror(number) in str(line["error"])
    assert "/data/logs/01.log" in str(line["error"])
    assert "Traceback" not in str(line["error"])


def test_each_event_is_one_line_whatever_its_text_holds(stream: io.StringIO) -> None:
    EventLog(NAME).warning("odd", text="two\nlines\r\n\u2028and more")
    assert len(stream.getvalue().splitlines()) == 1


class KeptRecords(logging.Handler):
    """Keeps what it handles, whatever other tests have done to the handlers of other loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_records_name_the_line_that_wrote_them(stream: io.StringIO) -> None:
    handler = KeptRecords()
    logging.getLogger(NAME).addHandler(handler)
    EventLog(NAME).warning("here")
    logging.getLogger(NAME).removeHandler(handler)
    (record,) = handler.records
    assert record.funcName == "test_records_name_the_line_that_wrote_them"


@pytest.fixture
def whole_log() -> Iterator[io.StringIO]:
    """A stream for a whole process's log; the root logger is restored afterwards."""
    root, git = logging.getLogger(), logging.getLogger("danube.git")
    before = root.handlers[:], root.level, git.level
    yield io.StringIO()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    git.setLevel(before[2])


@pytest.mark.parametrize(
    ("word", "level"), [("trace", logging.DEBUG), ("warn", logging.WARNING), ("WARN", logging.WARNING)]
)
def test_other_usual_names_of_levels_are_known(whole_log: io.StringIO, word: str, level: int) -> None:
    set_up_logging(whole_log, word, str)
    assert logging.getLogger().level == level


def test_a_word_that_is_not_known_is_a_warning_in_the_log(whole_log: io.StringIO) -> None:
    set_up_logging(whole_log, "loud,danube.git=debug,json", str)
    (line,) = map(json.loads, whole_log.getvalue().splitlines())
    assert (line["event"], line["words"]) == ("log-level-unknown", "loud")
    assert logging.getLogger("danube.git").level == logging.DEBUG


@pytest.mark.parametrize("form", [HumanLines, JsonLines])
def test_no_control_sequence_in_a_value_reaches_a_terminal(form: type[logging.Formatter]) -> None:
    """The log is read on terminals, and names of branches or answers of registries are in it."""
    record = logging.LogRecord(NAME, logging.INFO, "", 0, "hook-received", (), None)
    record.fields = {"what": "b-\x1b]0;evil\x07 \x9b2J \u202e"}
    line = form(lambda text: text).format(record)  # type: ignore[arg-type]
    assert "evil" in line
    assert not set("\x1b\x07\x9b\u202e") & set(line)
