"""The result of a step, the error of a failed step, and the handle of a running step."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from danube._errors import DanubeError
from danube._open_steps import failed
from danube._process import refuse_in_child

UNKNOWN = "step-unknown"
"""The reference of the error for a step that the server has not heard of."""

UNKNOWN_PAUSE_SECONDS = 0.05

STOPPED = "stopped"
"""The reason of a step that the danubefile itself has stopped."""

SERVER_LOST = "server-lost"
"""The reference of the error after which it is not known whether the step has ended."""


@dataclass(frozen=True)
class StepResult:
    """The result of a step after its last attempt.

    status: `success`, `restored`, `failure`, `cancelled` or `timeout`; a step that `stop()` ended is `cancelled`, with
        the reason `stopped`. `restored`: an earlier job's step, whose snapshot took the place of the command.
    exit_code: the command's; 128 + n where signal n ended it; -1 where it did not run.
    reason: why it did not succeed, finer than the status (`step-timeout`, `out-of-memory`, …).
    message: the reason as text; for a success, what is worth knowing of it.
    attempt: the number of the last attempt, from 1.
    restored_from: the job that ran it; empty where this one did.
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
    restored_from: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command ended with exit code 0, in this job or in the one that it was restored from."""
        return self.status in ("success", "restored")

    @property
    def output(self) -> str:
        """The last MiB of standard output and error, in the order printed. `output_truncated`: there was more.

        Raises DanubeError where a restart of the server lost it.
        """
        if self.raw_output is None:
            raise DanubeError(
                "output-lost",
                f"the output of step {self.name!r} is in the log only",
                hint="let the command write what is needed into a file of /workspace, and read that",
            )
        return self.raw_output.decode(errors="replace")

    def describe(self) -> str:
        """The result as the end of a sentence: `failed with exit code 1`."""
        return "succeeded" if self.ok else self.message or f"failed with exit code {self.exit_code}"


class StepFailed(DanubeError):
    """A step with `check=True` did not succeed. `result` says how it ended.

    Catching it does not make the job succeed: a job with a failed checked step fails. Use `check=False` for a command
    whose failure is an expected result.
    """

    def __init__(self, result: StepResult) -> None:
        super().__init__(result.reason or "step-failed", f"step {result.name!r} {result.describe()}")
        self.result = result


class StepHandle:
    """A step that runs in the background. Wait for each one or stop it: a job that ends with a running step fails."""

    def __init__(
        self,
        name: str,
        future: "Future[StepResult]",
        check: bool,
        on_refusal: Callable[[], object] = lambda: None,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self._on_stop = on_stop
        self._on_refusal = on_refusal
        self._future = future
        self._check = check

    @property
    def done(self) -> bool:
        """Whether the step has ended; does not wait."""
        return self._future.done()

    def wait(self) -> StepResult:
        """Wait for the step to end and return its result. Raises StepFailed as `step.run` does.

        Raises DanubeError in a child process, where no thread would ever bring the result.
        """
        refuse_in_child()
        try:
            result = self._future.result()
        except DanubeError as refusal:
            if refusal.reference != SERVER_LOST:
                self._on_refusal()  # the server has no such step, and from here on the caller's handling counts
            raise
        if self._check and not result.ok and result.reason != STOPPED:
            failed.append(self.name)
            raise StepFailed(result)
        return result

    def stop(self) -> StepResult:
        """End the step, with TERM and after five seconds KILL, and return its result. A step that ends for that fails
        no job.

        Raises StepFailed as `wait` does where the step had failed before.
        """
        refuse_in_child()
        while not self.done:
            try:
                self._on_stop()
                break
            except DanubeError as refusal:
                if refusal.reference != UNKNOWN:
                    raise
                wait([self._future], UNKNOWN_PAUSE_SECONDS)  # the call that starts it is still on its way
        return self.wait()


def wait_for_one(handles: Sequence[StepHandle]) -> None:
    """Returns when at least one of the steps has ended."""
    wait([handle._future for handle in handles], return_when=FIRST_COMPLETED)
