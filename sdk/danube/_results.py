"""How a step ended, the error for one that failed, and a handle on one that still runs."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from danube._errors import DanubeError


@dataclass(frozen=True)
class StepResult:
    """The end of a step, after all its attempts.

    exit_code: of the command; 128 + n where signal n ended it; -1 where it never ran.
    status: success, failure, cancelled or timeout; `reason` is finer (`step-timeout`, `out-of-memory`, …).
    """

    name: str
    status: str
    exit_code: int
    duration_seconds: float
    reason: str = ""
    message: str = ""
    attempt: int = 1
    output_truncated: bool = False
    sequence: int = 0
    raw_output: bytes | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the command ended with exit code 0."""
        return self.status == "success"

    @property
    def output(self) -> str:
        """What it printed to standard output and error, in order: the last MiB (`output_truncated` says if there was more).

        Raises DanubeError where it could not be kept over a restart of the server.
        """
        if self.raw_output is None:
            raise DanubeError("output-lost", f"the output of step {self.name!r} is in the log only")
        return self.raw_output.decode(errors="replace")

    def describe(self) -> str:
        """The end as the end of a sentence."""
        return self.message or ("succeeded" if self.ok else f"failed with exit code {self.exit_code}")


class StepFailed(DanubeError):
    """A step with `check=True` did not succeed. `result` says how it ended.

    Catching it does not make the job green: a checked step that failed is a failed job. Use `check=False` where a failure
    is an answer.
    """

    def __init__(self, result: StepResult) -> None:
        super().__init__(result.reason or "step-failed", f"step {result.name!r} {result.describe()}")
        self.result = result


class StepHandle:
    """A step that was started and runs beside what follows. Wait for every one: an open step makes the job red."""

    def __init__(self, name: str, future: "Future[StepResult]", check: bool) -> None:
        self.name = name
        self._future = future
        self._check = check

    @property
    def done(self) -> bool:
        """Whether it has ended; never waits."""
        return self._future.done()

    def wait(self) -> StepResult:
        """Its result, once it has ended. Raises StepFailed as `step.run` would."""
        result = self._future.result()
        if self._check and not result.ok:
            raise StepFailed(result)
        return result
