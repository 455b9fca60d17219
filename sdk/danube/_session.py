"""The connection of this process to its job. The coordinator sets it; the functions of the SDK use it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from danube import _process
from danube._errors import DanubeError
from danube._junit import JunitReport
from danube._results import StepResult


@dataclass(frozen=True)
class StepCall:
    """A validated call of `step.run`. shell: "" for `/bin/sh -e`. leg: the name of the matrix' leg that it belongs to.
    isolation: the number of that leg's own containers; 0 for those of the job. retry_delay_seconds: the pause before
    each further attempt. retry_on: exit codes and reasons after which there is one; empty for any failure.
    cleanup: it may also run while the job is ending. is_service: other steps need it. snapshot: what it depends on, as
    its author says; "" for no snapshot."""

    sequence: int
    name: str
    command: str = field(repr=False)
    image: str
    environment: Mapping[str, str] = field(repr=False)
    working_directory: str
    timeout_seconds: int
    retries: int
    check: bool
    shell: str = ""
    leg: str = ""
    isolation: int = 0
    retry_delay_seconds: int = 0
    retry_on: tuple[str, ...] = ()
    cleanup: bool = False
    is_service: bool = False
    snapshot: str = ""


@dataclass(frozen=True)
class CacheCall:
    """A validated call of `cache`; the same for its restore and its save."""

    sequence: int
    name: str
    key: str
    paths: tuple[str, ...]
    fallback: tuple[str, ...]
    image: str


@dataclass(frozen=True)
class DownloadCall:
    """A validated call of `artifacts.download`: an artifact of a job, or of a pipeline's newest successful job."""

    sequence: int
    name: str
    job: str
    pipeline: str
    branch: str
    allow_untrusted: bool


@dataclass(frozen=True)
class AnnotationCall:
    """A validated annotation."""

    level: str
    message: str
    file: str
    line: int


@dataclass(frozen=True)
class CoverageCall:
    """Lines that were run, and that could be. files: file, covered and all lines of each that is named."""

    name: str
    covered: int
    total: int
    files: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class NoteCall:
    """What `reports.summary`, `coverage` or `annotations` reports."""

    sequence: int
    summary: str
    coverage: CoverageCall | None
    annotations: tuple[AnnotationCall, ...]


@dataclass(frozen=True)
class Grant:
    """An approval as the server recorded it. at: Unix seconds."""

    by: str
    at: float
    reason: str


class Session(Protocol):
    """What the SDK calls, implemented by the coordinator. `sequence` identifies a call when it is repeated."""

    @property
    def context(self) -> Mapping[str, Any]: ...
    @property
    def workspace(self) -> str: ...
    @property
    def leg_workspaces(self) -> str:
        """The directory in which each isolated leg's workspace is, by its number; "" where legs cannot be isolated."""
        ...

    @property
    def is_partial(self) -> bool:
        """Whether steps were left out (`danube run --step`), so that what they would have made is missing."""
        ...

    def next_sequence(self, kind: str) -> int: ...
    def run_step(self, call: StepCall) -> StepResult: ...
    def stop_step(self, sequence: int) -> None: ...
    def add_note(self, call: NoteCall) -> None: ...
    def report_tests(self, sequence: int, report: JunitReport) -> None: ...
    def read_secret(self, sequence: int, key: str) -> bytes: ...
    def id_token(self, sequence: int, audience: str) -> str: ...
    def ask_for_environment(self, sequence: int, environment: str, timeout_seconds: int) -> Grant: ...
    def restore_cache(self, call: CacheCall) -> tuple[str, str, int]: ...
    def save_cache(self, call: CacheCall) -> tuple[str, str, int]: ...
    def download(self, call: DownloadCall, directory: Path) -> Path: ...
    def upload(self, sequence: int, name: str, file_name: str, chunks: "Chunks", describes: str = "") -> None: ...


class Chunks(Protocol):
    """Each call returns a new stream of the same bytes, to restart an upload after a lost connection."""

    def __call__(self) -> Iterator[bytes]: ...


_current: Session | None = None
_shell = ""
_environment: Mapping[str, str] = {}


def enter(session: Session) -> None:
    """Make that session the one of this process and of no other."""
    global _current
    _process.claim()
    _current = session


def use_shell(shell: str) -> None:
    """Make that program the shell of every step that names none; "" for `/bin/sh -e`."""
    global _shell
    _shell = shell


def use_environment(environment: Mapping[str, str]) -> None:
    """Give every step these variables; its own replace them."""
    global _environment
    _environment = environment


def default_environment() -> Mapping[str, str]:
    """The variables that `@pipeline` names."""
    return _environment


def default_shell() -> str:
    """The shell that `@pipeline` names."""
    return _shell


def current() -> Session:
    """The job's session, for a call to the server. Raises DanubeError outside a job and in a child process."""
    _process.refuse_in_child()
    return inherited()


def inherited() -> Session:
    """The job's session, for what needs no call: a forked child has it too. Raises DanubeError outside a job, and in a
    spawned child."""
    if _current is None and _process.is_spawned():
        raise DanubeError(
            "not-the-danubefiles-process",
            "a process that multiprocessing has spawned does not know the job",
            cause="it runs an interpreter of its own",
            hint="pass what it needs as arguments, or fork it: multiprocessing.get_context('fork')",
        )
    if _current is None:
        raise DanubeError(
            "not-in-a-job",
            "this works only inside a job",
            cause="the danubefile was run as a plain Python program",
            hint="danube run",
        )
    return _current
