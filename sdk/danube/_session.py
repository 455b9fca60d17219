"""The job that this process works for. The coordinator enters it; the functions of the SDK ask for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from danube._errors import DanubeError
from danube._results import StepResult


@dataclass(frozen=True)
class StepCall:
    """One call of `step.run`, checked."""

    sequence: int
    name: str
    command: str = field(repr=False)
    image: str
    environment: Mapping[str, str] = field(repr=False)
    working_directory: str
    timeout_seconds: int
    retries: int
    check: bool


class Session(Protocol):
    """What a coordinator offers to the SDK. Every call may be repeated with the same sequence."""

    @property
    def context(self) -> Mapping[str, Any]: ...
    @property
    def workspace(self) -> str: ...
    def next_sequence(self, kind: str) -> int: ...
    def run_step(self, call: StepCall) -> StepResult: ...
    def read_secret(self, sequence: int, key: str) -> bytes: ...
    def upload(self, sequence: int, name: str, file_name: str, chunks: "Chunks") -> None: ...


class Chunks(Protocol):
    """A stream that can be begun again when the connection was lost."""

    def __call__(self) -> Iterator[bytes]: ...


_current: Session | None = None


def enter(session: Session) -> None:
    """From now on this process works for that job."""
    global _current
    _current = session


def current() -> Session:
    """The job's session; raises DanubeError outside of a job."""
    if _current is None:
        raise DanubeError(
            "not-in-a-job",
            "this works only inside a job",
            cause="the danubefile was run as a plain Python program",
            hint="danube run",
        )
    return _current
