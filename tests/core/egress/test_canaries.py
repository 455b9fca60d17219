"""What is concluded from canaries: only a closed canary beside an open control proves that a policy is enforced."""

import pytest

from danube_pkg.core.egress.canaries import Canaries, Reach
from danube_pkg.core.errors import Permanent, Unavailable

CANARIES = Canaries(("10.0.0.1:31281", "10.42.0.7:31281"), "10.0.0.1:31280")


def printed(*ends: str) -> bytes:
    targets = (*CANARIES.targets, CANARIES.control)
    return "".join(f"{target} {end}\n" for target, end in zip(targets, ends, strict=True)).encode()


@pytest.mark.parametrize(
    ("ends", "enforced"),
    [
        (("refused", "silent", "open"), True),
        (("unreachable", "refused", "open"), True),
        (("open", "refused", "open"), False),
        (("refused", "open", "open"), False),
        (("refused", "refused", "refused"), False),
        (("silent", "silent", "silent"), False),
    ],
)
def test_enforcement_is_seen_from_inside(ends: tuple[str, ...], enforced: bool) -> None:
    assert CANARIES.observe(printed(*ends)).is_enforced is enforced


def test_the_control_is_tried_in_the_same_call() -> None:
    assert CANARIES.argv() == ("danube-step", "reach", "1500", *CANARIES.targets, CANARIES.control)


@pytest.mark.parametrize(
    "output", [b"", b"10.0.0.1:31281 refused\n", b"sh: not found\n", printed("open", "open", "yes")]
)
def test_other_output_is_not_taken_for_an_observation(output: bytes) -> None:
    with pytest.raises(Unavailable, match="could not be seen"):
        CANARIES.observe(output)


def test_a_cluster_that_enforces_nothing_is_refused_or_accepted_as_configured() -> None:
    found = CANARIES.observe(printed("open", "refused", "open"))
    failure = found.failure(CANARIES.control, refuse=True)
    assert isinstance(failure, Permanent)
    assert failure.reference == "egress-unenforced"
    assert "10.0.0.1:31281 is reachable" in failure.cause
    assert 'unenforced = "warn"' in failure.hint
    assert found.failure(CANARIES.control, refuse=False) is None


def test_a_pod_without_a_network_is_never_accepted() -> None:
    found = CANARIES.observe(printed("silent", "silent", "silent"))
    assert found.control is Reach.SILENT
    for refuse in (True, False):
        failure = found.failure(CANARIES.control, refuse=refuse)
        assert isinstance(failure, Unavailable)
        assert CANARIES.control in failure.what
