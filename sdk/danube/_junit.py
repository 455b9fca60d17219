"""Reads JUnit's XML, the format in which test runners report.

The files come from programs of the repository. Expat reads them as a stream; a document type is refused, so that no
entity is expanded and nothing outside of the file is read. Every text has a bound, and so has the number of tests.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from danube._errors import DanubeError

MAX_FILES = 1000
MAX_FILE_BYTES = 64 * 1024**2
"""The largest reports, with the output of some ten thousand tests, have half of it."""

MAX_TESTS = 200_000
MAX_NAME_BYTES = 300
MAX_MESSAGE_BYTES = 2000
MAX_FAILURES = 200
MAX_SLOWEST = 50
_CHUNK_BYTES = 256 * 1024

FAILED, FLAKY, PASSED, SKIPPED = "failed", "flaky", "passed", "skipped"
_FAILURES = ("failure", "error")
_REPEATED = ("flakyFailure", "flakyError")
"""What Maven writes for a test that failed and passed when it was repeated."""


@dataclass
class JunitCase:
    """One test, over all its repetitions in the files."""

    name: str
    status: str
    seconds: float
    message: str = ""
    file: str = ""
    line: int = 0


@dataclass
class JunitReport:
    """The tests of some files. failures: the failed and flaky ones, at most MAX_FAILURES; others are counted."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[JunitCase] = field(default_factory=list)
    slowest: list[JunitCase] = field(default_factory=list)

    def named(self) -> list[JunitCase]:
        """Failed ones, flaky ones, the slowest of the others."""
        return [*self.failures, *self.slowest]


def read_reports(files: Iterable[str], shown: Callable[[str], str], prefix: str = "") -> JunitReport:
    """shown: a file's path in messages. prefix: before each test's name. Raises DanubeError, OSError."""
    cases: dict[str, JunitCase] = {}
    for number, file in enumerate(files, 1):
        if number > MAX_FILES:
            hint = 'name fewer files: reports.junit("unit/*.xml")'
            raise DanubeError("report-too-large", f"these are more than {MAX_FILES} files", hint=hint)
        try:
            _Reader(prefix, cases).read(file)
        except (expat.ExpatError, ValueError) as error:
            what, hint = f"{shown(file)} is not a JUnit report", "pytest --junit-xml=report.xml"
            raise DanubeError("report-invalid", what, cause=str(error), hint=hint) from error
    return _report_of(list(cases.values()))


def _report_of(known: list[JunitCase]) -> JunitReport:
    by_status = {status: [one for one in known if one.status == status] for status in (FAILED, FLAKY, PASSED, SKIPPED)}
    return JunitReport(
        passed=len(by_status[PASSED]) + len(by_status[FLAKY]),
        failed=len(by_status[FAILED]),
        skipped=len(by_status[SKIPPED]),
        failures=[*by_status[FAILED], *by_status[FLAKY]][:MAX_FAILURES],
        slowest=sorted(by_status[PASSED], key=lambda one: -one.seconds)[:MAX_SLOWEST],
    )


class _Reader:
    """Reads one file into the tests that are known by now."""

    def __init__(self, prefix: str, cases: dict[str, JunitCase]) -> None:
        self._prefix = prefix
        self._cases = cases
        self._suite_files: list[str] = []
        self._case: JunitCase | None = None
        self._text: list[str] | None = None
        self._length = 0
        self._depth = 0

    def read(self, path: str) -> None:
        """Raises ValueError, ExpatError, OSError."""
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        size = 0
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    raise ValueError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
                parser.Parse(chunk, False)
            parser.Parse(b"", True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise ValueError(f"its root is {tag[:60]!r}, not 'testsuites' or 'testsuite'")
        if tag == "testsuite":
            self._suite_files.append(attributes.get("file", ""))
        elif tag == "testcase":
            self._case = self._new_case(attributes)
        elif self._case is not None and tag in (*_FAILURES, *_REPEATED, "skipped"):
            self._outcome(self._case, tag, attributes)

    def _new_case(self, attributes: Mapping[str, str]) -> JunitCase:
        scope, own = attributes.get("classname", ""), attributes.get("name", "")
        file = attributes.get("file", "") or next((one for one in reversed(self._suite_files) if one), "")
        return JunitCase(
            bounded(f"{self._prefix}{scope}.{own}" if scope else f"{self._prefix}{own}", MAX_NAME_BYTES) or "(no name)",
            PASSED,
            _seconds(attributes.get("time", "")),
            file=bounded(file, MAX_NAME_BYTES),
            line=_whole(attributes.get("line", "")),
        )

    def _outcome(self, case: JunitCase, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "skipped":
            case.status = SKIPPED if case.status == PASSED else case.status
            return
        case.status = FAILED if tag in _FAILURES else FLAKY if case.status == PASSED else case.status
        case.message = case.message or bounded(attributes.get("message", ""), MAX_MESSAGE_BYTES)
        self._text, self._length = [], 0

    def _characters(self, data: str) -> None:
        if self._text is not None and self._length < MAX_MESSAGE_BYTES:
            self._text.append(data)
            self._length += len(data)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "testsuite":
            self._suite_files.pop()
        elif tag == "testcase" and self._case is not None:
            self._keep(self._case)
            self._case = None
        elif self._text is not None and tag in (*_FAILURES, *_REPEATED):
            if self._case is not None and not self._case.message:
                self._case.message = bounded("".join(self._text).strip(), MAX_MESSAGE_BYTES)
            self._text = None

    def _keep(self, case: JunitCase) -> None:
        """A test that is reported twice was repeated: one that failed and passed is flaky."""
        known = self._cases.get(case.name)
        if known is None:
            if len(self._cases) >= MAX_TESTS:
                raise ValueError(f"with it there are more than {MAX_TESTS} tests")
            self._cases[case.name] = case
            return
        if SKIPPED in (known.status, case.status):
            known.status = case.status if known.status == SKIPPED else known.status
        elif known.status != case.status:
            known.status = FLAKY
        known.message = known.message or case.message
        known.seconds += case.seconds


def _refuse_document_type(name: str, system: str | None, public: str | None, internal: int) -> None:
    raise ValueError("it has a document type, which could define entities")


def bounded(text: str, size: int) -> str:
    """The text without NUL, as at most so many bytes in UTF-8."""
    return text.replace("\0", "").encode(errors="replace")[:size].decode(errors="ignore")


def _seconds(text: str) -> float:
    """The duration; some runners write a thousand with a comma. 0 where there is none."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return value if 0 <= value < 1e9 else 0.0


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,8}", text) else 0
