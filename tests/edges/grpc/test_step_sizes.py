"""What the kernel would refuse when a step starts is refused when it is requested, with the size and the limit."""

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.core.jobs.coordination import MAX_ARGUMENT_BYTES
from danube_pkg.core.jobs.steps import RETRY_REASONS
from danube_pkg.edges.grpc.messages import step_request

MOST = MAX_ARGUMENT_BYTES


def request(command: str = "true", shell: str = "", **environment: str) -> pb.RunStepRequest:
    return pb.RunStepRequest(sequence=1, name="x", command=command, environment=environment, shell=shell)


@pytest.mark.parametrize(
    ("refused", "what"),
    [
        (request("x" * (MOST + 1)), f"the command of step 1 has {MOST + 1} bytes; Linux takes at most {MOST}"),
        (request("ä" * (MOST // 2 + 1)), f"the command of step 1 has {MOST + 1} bytes"),
        (request(V="x" * (MOST - 1)), f"the variable 'V' of step 1 has {MOST + 1} bytes"),
        (request(**{f"V{n}": "x" * 100_000 for n in range(11)}), "the command and the environment of step 1 have"),
    ],
)
def test_a_step_that_cannot_be_executed_is_refused(refused: pb.RunStepRequest, what: str) -> None:
    with pytest.raises(TooLarge) as refusal:
        step_request(refused)
    assert refusal.value.what.startswith(what)
    assert refusal.value.hint


def test_the_largest_that_is_taken_can_be_executed() -> None:
    taken = step_request(request(f"#{'x' * (MOST - 1)}", V="x" * (MOST - 2)))
    done = subprocess.run(["/bin/sh", "-e", "-c", taken.command], env=dict(taken.environment), check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("shell", ["x" * 201, "ba\0sh"])
def test_a_shell_that_names_no_program_is_refused(shell: str) -> None:
    with pytest.raises(Invalid, match="the shell of step 1"):
        step_request(request(shell=shell))


@pytest.mark.parametrize(
    "retry",
    [
        {"retries": 11},
        {"retry_delay_seconds": 3601},
        {"retry_on": ["1000x"]},
        {"retry_on": ["stopped"]},
        {"retry_on": ["1"] * 21},
    ],
)
def test_retries_beyond_their_bounds_are_refused(retry: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid, match="retries"):
        step_request(pb.RunStepRequest(sequence=1, name="x", command="true", **retry))
    taken = step_request(pb.RunStepRequest(sequence=1, name="x", command="true", retry_on=["255", *RETRY_REASONS]))
    assert taken.retry_on == ("255", *RETRY_REASONS)


@pytest.mark.parametrize("leg", [{"leg": "x" * 201}, {"leg": "n=1", "isolation": 65}])
def test_a_leg_beyond_its_bounds_is_refused(leg: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid, match="the leg of step 1") as refusal:
        step_request(pb.RunStepRequest(sequence=1, name="x", command="true", **leg))
    assert refusal.value.hint
