"""What a danubefile says of its end is not trusted: each failure has a reason of danubefiles, and a message."""

import pytest
from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.reasons import HINTS, Reason
from danube_pkg.edges.grpc.messages import script_failure


@pytest.mark.parametrize("reason", ["", "no-such-reason", *(one for one in Reason if not one.is_of_scripts)])
def test_another_reason_is_that_of_a_danubefile_that_failed(reason: str) -> None:
    failure = script_failure(pb.FinishRequest(reason=reason, message="as it says"))
    assert failure is not None
    assert (failure.reason, failure.message) == (Reason.SCRIPT_ERROR, "as it says")


@pytest.mark.parametrize("reason", [one for one in Reason if one.is_of_scripts])
def test_a_reason_of_danubefiles_is_kept_and_has_a_hint(reason: Reason) -> None:
    failure = script_failure(pb.FinishRequest(reason=reason, message="m", step=3))
    assert failure is not None
    assert (failure.reason, failure.step) == (reason, 3)
    assert HINTS[reason]


def test_a_failure_without_a_message_gets_one() -> None:
    failure = script_failure(pb.FinishRequest(reason="script-error"))
    assert failure is not None
    assert "without a message" in failure.message
    assert script_failure(pb.FinishRequest(success=True, reason="x", message="y")) is None
