"""When a step that does not succeed is run again."""

from collections.abc import Sequence
from dataclasses import dataclass

from danube._errors import DanubeError
from danube._texts import check_whole_numbers

MAX_TIMES = 10
MAX_DELAY_SECONDS = 3600
MAX_ON = 20
"""Exit codes and reasons of one retry; a command has a handful that say "try again"."""

ON_REASONS = (
    "step-failed",
    "step-timeout",
    "out-of-memory",
    "command-not-started",
    "image-pull-failed",
    "workspace-full",
    "infrastructure-lost",
    "pod-lost",
    "evicted",
    "preempted",
    "node-lost",
    "node-drained",
)
"""Reasons with which an attempt may end and another follow."""


@dataclass(frozen=True)
class Retry:
    """What `step.retry` returns. on: exit codes as digits and reasons; empty for any failure."""

    times: int
    delay_seconds: int = 0
    on: tuple[str, ...] = ()


def retry(times: int, delay_seconds: int = 0, *, on: Sequence[int | str] = ()) -> Retry:
    """When a step that does not succeed is run again: for `retries=` of `run`, `start` and `build_image`.

        step.run("curl -fsS https://example.org/data -o data", retries=step.retry(3, 10, on=[7, 28, "step-timeout"]))

    times: how many further attempts a failure may have, 1 to 10.
    delay_seconds: the pause before each, at most 3600. It counts for the job's deadline.
    on: the exit codes (1 to 255) and reasons (as in `StepResult.reason`) after which another attempt follows; any other
        failure is the step's end. By default any failure.

    Each attempt has a record of its own, and its own section of the log; the last one is the step's result. Raises
    DanubeError for what is outside these bounds.
    """
    check_whole_numbers("step-invalid", {"times": times, "delay_seconds": delay_seconds})
    if not 1 <= times <= MAX_TIMES:
        raise DanubeError("step-invalid", f"times={times} must be from 1 to {MAX_TIMES}", hint="step.retry(3)")
    if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
        what = f"delay_seconds={delay_seconds} must be from 0 to {MAX_DELAY_SECONDS}"
        raise DanubeError("step-invalid", what, hint="step.retry(3, 10)")
    return Retry(times, delay_seconds, _checked_on(on))


def checked_retry(retries: object) -> Retry:
    """What `retries=` was given, a number or a `Retry`. Raises DanubeError."""
    if isinstance(retries, Retry):
        return retries
    check_whole_numbers("step-invalid", {"retries": retries})
    assert isinstance(retries, int)
    if not 0 <= retries <= MAX_TIMES:
        raise DanubeError("step-invalid", f"retries={retries} must be from 0 to {MAX_TIMES}", hint="retries=3")
    return Retry(retries)


def _checked_on(on: object) -> tuple[str, ...]:
    if isinstance(on, str | bytes) or not isinstance(on, Sequence) or len(on) > MAX_ON:
        what = f"on= must be a list of at most {MAX_ON} exit codes and reasons"
        raise DanubeError("step-invalid", what, hint='step.retry(3, on=[75, "step-timeout"])')
    for one in on:
        is_code = isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= 255
        if not is_code and one not in ON_REASONS:
            what = f"on= has {str(one)[:60]!r}, which is neither an exit code from 1 to 255 nor a reason of a step"
            raise DanubeError("step-invalid", what, hint=f"the reasons are: {', '.join(ON_REASONS)}")
    return tuple(dict.fromkeys(str(one) for one in on))
