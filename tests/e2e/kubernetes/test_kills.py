"""The server is killed in each phase of a job on a cluster: the job ends as if nothing had happened.

Its log is whole, and nothing of it is left. Runs on the fake cluster, and on a real one where KUBECONFIG names it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.kubernetes.conftest import ClusterOfRun
from tests.e2e.test_survival import survive
from tests.support.server import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

SECONDS = 120.0

TWO_STEPS = """
    from danube import pipeline, step

    @pipeline(name="two")
    def two():
        step.run("echo up; sleep 2; echo down", name="first")
        step.run("echo behind", name="second")
"""

Found = Callable[[Installation, list[dict[str, Any]], str], bool]
"""Whether a phase is reached, by the installation, its pods and the job's printed lines."""


def has_container(pods: list[dict[str, Any]], section: str, state: str) -> bool:
    statuses = [one for pod in pods for one in pod["status"].get(section) or []]
    return any(state in one["state"] for one in statuses)


PHASES: dict[str, Found] = {
    "accepted": lambda danube, pods, printed: True,
    "pod-made": lambda danube, pods, printed: bool(pods),
    "coordinator-runs": lambda danube, pods, printed: has_container(pods, "containerStatuses", "running"),
    "worker-runs": lambda danube, pods, printed: has_container(pods, "ephemeralContainerStatuses", "running"),
    "step-runs": lambda danube, pods, printed: "up\n" in printed,
    "last-step-ran": lambda danube, pods, printed: "behind\n" in printed,
    "ended": lambda danube, pods, printed: danube.jobs()[0]["status"] == "success",
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_server_killed_in_each_phase_loses_nothing(danube: Installation, cluster: ClusterOfRun, phase: str) -> None:
    cluster.install(danube)
    danube.pipeline("two", TWO_STEPS)
    danube.serve()
    job_id = danube.trigger("two")

    def is_reached() -> bool:
        log = danube.data / "logs" / f"{job_id}.log"
        printed = danube.printed(job_id) if log.exists() else ""
        return PHASES[phase](danube, cluster.objects(danube)["pods"], printed)

    wait_until(is_reached, SECONDS, f"the phase {phase}")
    danube.kill()
    danube.serve()
    job = danube.end_of(job_id, SECONDS)
    assert job["status"] == "success", danube.log(job_id)
    lines = [line for line in danube.printed(job_id).splitlines() if line in ("up", "down", "behind")]
    assert lines == ["up", "down", "behind"]
    cluster.wait_empty(danube)


def test_a_server_killed_three_times_loses_no_line(danube: Installation, cluster: ClusterOfRun) -> None:
    cluster.install(danube)
    survive(danube, seed=4, kills=3)
    cluster.wait_empty(danube)
