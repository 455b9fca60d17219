"""`approval()`: what it asks the server, and what it refuses itself."""

from datetime import UTC, datetime

import pytest

from danube import Approval, DanubeError, approval
from tests.sdk.session import RecordingSession


def test_an_approval_says_who_approved_when_and_why(session: RecordingSession) -> None:
    at = datetime.fromtimestamp(1_800_000_000, UTC)
    assert approval("production") == Approval("production", "bob", at, "reviewed")
    approval("staging", timeout_seconds=60)
    assert session.asked == [(1, "production", 0), (2, "staging", 60)]


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60"])
def test_a_time_that_is_none_is_refused_before_the_job_waits(session: RecordingSession, seconds: object) -> None:
    with pytest.raises(DanubeError) as refused:
        approval("production", timeout_seconds=seconds)  # type: ignore[arg-type]
    assert (refused.value.reference, session.asked) == ("approval-timeout", [])
