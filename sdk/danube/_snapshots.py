"""Checks of `step.run(…, snapshot=…)`."""

from danube._errors import DanubeError
from danube._texts import check_texts

MAX_KEY_LENGTH = 512


def check_snapshot(key: str, *, is_isolated: bool, cleanup: bool) -> None:
    """Raises DanubeError for a key that no snapshot can have, and for a step that has none."""
    check_texts("step-invalid", {"the snapshot's key": key})
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise DanubeError(
            "step-invalid",
            f"the key of a snapshot is 1 to {MAX_KEY_LENGTH} printable characters",
            hint='snapshot=hash_files("package-lock.json")',
        )
    if cleanup or is_isolated:
        raise DanubeError(
            "step-invalid",
            "a step for clean-up, or in an isolated leg of a matrix, has no snapshot",
            hint="run the step before the matrix, or leave snapshot= out",
        )
