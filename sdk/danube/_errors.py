"""What a danubefile may catch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from danube._results import StepResult


class DanubeError(Exception):
    """Something was refused: `reference` is a stable name, `hint` says what mends it."""

    def __init__(self, reference: str, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__("".join([what, f": {cause}" if cause else "", f"\n  hint: {hint}" if hint else ""]))
        self.reference = reference
        self.what = what
        self.cause = cause
        self.hint = hint


class StepFailed(DanubeError):
    """A step with `check=True` did not succeed. `result` says how it ended.

    Catching it does not make the job green: a checked step that failed is a failed job. Use `check=False` where a failure
    is an answer.
    """

    def __init__(self, result: "StepResult") -> None:
        super().__init__(result.reason or "step-failed", f"step {result.name!r} {result.describe()}")
        self.result = result
