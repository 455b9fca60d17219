"""How statuses of pods are read; the objects are as a real cluster has sent them (docs/design/kubernetes.md)."""

from typing import Any

import pytest

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, end_of, read_pod, start_problem
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerRole, PodState
from tests.adapters.runtimes.kubernetes.objects import POD_ID, disrupted, pod_object, running, status, with_worker
from tests.adapters.runtimes.sandbox.pods import job_of

KILLED = {"exitCode": 137, "reason": "Error"}


def ends_of(pod: dict[str, Any]) -> list[tuple[int, Reason, str]]:
    read = read_pod(pod)
    return [(one.container.number, *end_of(read, one)) for one in read.ended]


def ended(pod: dict[str, Any], **terminated: Any) -> dict[str, Any]:
    """The pod when its worker has ended so."""
    pod["status"]["ephemeralContainerStatuses"] = [status("worker-1", terminated=terminated)]
    return pod


def test_a_running_pod_has_the_containers_that_run() -> None:
    read = read_pod(running(with_worker(pod_object(), image="node:20")))
    coordinator = Container(POD_ID, 0, ContainerRole.COORDINATOR, "host")
    worker = Container(POD_ID, 1, ContainerRole.WORKER, "node:20")
    assert read.state == PodState(POD_ID, job_of(POD_ID), (coordinator, worker), complete=True)
    assert list(read.ended) == []
    assert read.address == "10.1.0.7"


def test_a_pod_that_is_being_made_has_none() -> None:
    assert read_pod(pod_object()).state == PodState(POD_ID, job_of(POD_ID), (), complete=False)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('Usage of EmptyDir volume "w" exceeds the limit "5Mi". ', Reason.WORKSPACE_FULL),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ", Reason.WORKSPACE_FULL),
        ('Container worker-1 exceeded its local ephemeral storage limit "5Mi". ', Reason.WORKSPACE_FULL),
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi.", Reason.EVICTED),
    ],
)
def test_an_eviction_says_why(message: str, reason: Reason) -> None:
    pod = ended(with_worker(pod_object(phase="Failed", reason="Evicted", message=message)), **KILLED)
    assert ends_of(pod) == [(0, reason, message.strip()), (1, reason, message.strip())]


def test_which_container_was_out_of_memory() -> None:
    pod = running(with_worker(pod_object()))
    ((number, reason, message),) = ends_of(ended(pod, exitCode=137, reason="OOMKilled"))
    assert (number, reason) == (1, Reason.OUT_OF_MEMORY)
    assert "node:20" in message


def test_lack_of_memory_of_a_child_counts_whatever_the_exit_code() -> None:
    """PID 1 exits 7 after the kernel has killed its child: a real cluster says `{exitCode: 7, reason: OOMKilled}`."""
    pod = running(with_worker(pod_object()))
    assert ends_of(ended(pod, exitCode=7, reason="OOMKilled"))[0][1] is Reason.OUT_OF_MEMORY


def test_an_eviction_for_memory_of_the_node_is_not_the_job_s_lack_of_memory() -> None:
    pod = with_worker(pod_object(phase="Failed", reason="Evicted", message="The node was low on resource: memory. "))
    assert {reason for _, reason, _ in ends_of(ended(pod, exitCode=137, reason="OOMKilled"))} == {Reason.EVICTED}


@pytest.mark.parametrize(
    ("disruption", "reason"),
    [
        ("PreemptionByScheduler", Reason.PREEMPTED),
        ("DeletionByTaintManager", Reason.NODE_LOST),
        ("DeletionByPodGC", Reason.NODE_LOST),
        ("EvictionByEvictionAPI", Reason.NODE_DRAINED),
        ("TerminationByKubelet", Reason.EVICTED),
        ("SomethingNew", Reason.EVICTED),
    ],
)
def test_each_disruption_has_its_own_reason(disruption: str, reason: Reason) -> None:
    pod = running(with_worker(pod_object()))
    pod["metadata"]["deletionTimestamp"] = "2026-11-30T07:00:00Z"
    pod["status"]["conditions"] = disrupted(disruption, "said by the cluster")
    (_, found, message), *_ = [one for one in ends_of(ended(pod, **KILLED)) if one[0] == 1]
    assert found is reason
    assert "said by the cluster" in message


def test_the_exit_code_0_of_a_supervisor_that_was_ended_does_not_count_as_success() -> None:
    """A container that traps TERM exits 0 (kubernetes/kubernetes#120182): only the supervisor's record is a success."""
    pod = running(with_worker(pod_object()))
    pod["metadata"]["deletionTimestamp"] = "2026-11-30T07:00:00Z"
    ((_, reason, message),) = ends_of(ended(pod, exitCode=0, reason="Completed"))
    assert reason is Reason.POD_LOST
    assert "deleted" in message


def test_a_lost_node_ends_its_containers_though_they_seem_to_run() -> None:
    pod = running(with_worker(pod_object()))
    pod["metadata"]["deletionTimestamp"] = "2026-11-30T07:00:00Z"
    pod["status"]["conditions"] = disrupted("DeletionByTaintManager")
    assert {number: reason for number, reason, _ in ends_of(pod)} == {0: Reason.NODE_LOST, 1: Reason.NODE_LOST}
    assert read_pod(pod).state.containers == ()


def test_a_deadline_ends_also_a_container_that_never_started() -> None:
    message = "Pod was active on the node longer than the specified deadline"
    pod = with_worker(pod_object(phase="Failed", reason="DeadlineExceeded", message=message))
    pod["status"]["containerStatuses"] = [
        status(names.COORDINATOR, terminated={"exitCode": 137, "reason": "ContainerStatusUnknown"})
    ]
    assert ends_of(pod) == [(0, Reason.JOB_TIMEOUT, message), (1, Reason.JOB_TIMEOUT, message)]


def test_a_container_that_ended_alone_says_how() -> None:
    ((_, reason, message),) = ends_of(ended(running(with_worker(pod_object())), exitCode=137, reason="Error"))
    assert (reason, message) == (Reason.POD_LOST, "the container of image 'node:20' ended (exit code 137)")


def waiting(reason: str, message: str = "") -> PodStatus:
    pod = running(with_worker(pod_object()))
    pod["status"]["ephemeralContainerStatuses"] = [status("worker-1", waiting={"reason": reason, "message": message})]
    return read_pod(pod)


@pytest.mark.parametrize(
    ("reason", "message", "lasting"),
    [
        ("ErrImagePull", 'failed to resolve reference "r/none:1": r/none:1: not found', True),
        ("ErrImagePull", "failed to authorize: 401 Unauthorized", True),
        ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", False),
        ("ImagePullBackOff", 'Back-off pulling image "r/slow:1": toomanyrequests', False),
        ("ErrImageNeverPull", 'Container image "local/x" is not present with pull policy of Never', True),
        ("InvalidImageName", "Failed to apply default image tag", True),
    ],
)
def test_a_pull_that_fails_has_the_registry_s_sentence(reason: str, message: str, lasting: bool) -> None:
    pod = waiting(reason, message)
    problem = start_problem(pod.containers[1])
    assert problem is not None
    assert (problem.reason, problem.lasting) == (Reason.IMAGE_PULL_FAILED, lasting)
    assert message in problem.message
    assert message in pod.waiting


def test_a_configuration_that_the_node_refuses_is_not_a_pull() -> None:
    problem = start_problem(waiting("CreateContainerConfigError", "container has runAsNonRoot and …").containers[1])
    assert problem is not None
    assert problem.reason is Reason.POD_FAILED


def test_a_container_that_is_only_being_made_has_no_problem() -> None:
    pod = waiting("ContainerCreating")
    assert start_problem(pod.containers[1]) is None
    assert pod.waiting == ""


def test_the_scheduler_s_sentence_is_what_a_pod_waits_for() -> None:
    sentence = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available."
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": sentence}]
    assert read_pod(pod_object(conditions=conditions)).waiting == f"waits for a node: {sentence}"


def test_a_coordinator_image_of_another_version_says_so() -> None:
    said = "the coordinator image is of version 1, and the server of version 2"
    init = status(names.INIT, terminated={"exitCode": 3, "reason": "Error", "message": said})
    assert read_pod(pod_object(phase="Failed", initContainerStatuses=[init])).start_problem == said


def test_a_coordinator_image_that_is_not_on_the_node_says_so() -> None:
    init = status(names.INIT, waiting={"reason": "ErrImageNeverPull", "message": "is not present"})
    assert "is not present" in read_pod(pod_object(initContainerStatuses=[init])).start_problem


def test_the_kubelet_s_refusal_of_a_pod_is_its_end() -> None:
    pod = pod_object(phase="Failed", reason="OutOfmemory", message="Node didn't have enough resource: memory")
    assert read_pod(pod).cause == (Reason.POD_LOST, "OutOfmemory: Node didn't have enough resource: memory")
