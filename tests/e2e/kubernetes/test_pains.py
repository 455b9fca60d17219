"""What users of other systems report of their jobs on Kubernetes, each by its number: it cannot happen here.

1 a dead exec makes a job green; 2 an exec hangs or loses output; 3 an evicted pod is successful; 4 a pod is gone before
its end was read; 5 logs stop when they are rotated; 6 logs of killed pods are lost; 7 pods are left; 8 wrong exit
codes; 9 jobs run for ever after a restart; 10 preemption looks like a cancellation; 18 a restarted controller stalls;
20 waiting without a reason. The cluster is the fake, which is ordered to do what makes them happen.
"""

import json
from typing import Any

import pytest

from tests.e2e.kubernetes.conftest import JOBS, OnFake
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.fakes.kubernetes.resources import NODES, PODS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

HEAD = "from danube import pipeline, step\n\n@pipeline(name='t')\ndef build():\n"
SECONDS = 120.0


def job_of(*lines: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in lines)


def waits(*after: str) -> str:
    """A job that prints `up` and waits for the file `go`, then runs further lines of its command."""
    command = "; ".join(("echo up", "while [ ! -e go ]; do sleep 0.1; done", *after))
    return job_of(f"step.run({command!r}, name='waits')")


def test_1_a_dropped_exec_decides_nothing(shared_fake: OnFake) -> None:
    job_id = shared_fake.running_job("p1", waits("echo down", "exit 7"))
    for _ in range(3):
        shared_fake.fake.call(FakeCluster.drop_streams)
        wait_until(lambda: shared_fake.fake.call(lambda cluster: cluster.execs.count) > 0, 60, "a new exec")
        assert shared_fake.danube.job(job_id)["status"] == "running"
    shared_fake.touch(job_id, "go")
    job = shared_fake.danube.end_of(job_id, SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "step-failed")
    assert "exit code 7" in job["message"]
    assert [line for line in shared_fake.danube.printed(job_id).splitlines() if line in ("up", "down")] == [
        "up",
        "down",
    ]


def test_2_output_is_whole_though_each_exec_is_cut(shared_fake: OnFake) -> None:
    command = "echo up; i=0; while [ $i -lt 12000 ]; do echo line $i of a log with many; i=$((i+1)); done"
    shared_fake.fake.call(lambda cluster: setattr(cluster.faults, "exec_drops_after", 150_000))
    try:
        job_id = shared_fake.running_job("p2", job_of(f"step.run({command!r}, name='prints')"))
        job = shared_fake.danube.end_of(job_id, SECONDS)
    finally:
        shared_fake.fake.call(lambda cluster: setattr(cluster.faults, "exec_drops_after", -1))
    assert job["status"] == "success", shared_fake.danube.log(job_id)[-2000:]
    lines = [line for line in shared_fake.danube.printed(job_id).splitlines() if line.startswith("line ")]
    assert lines == [f"line {number} of a log with many" for number in range(12_000)]


def test_2_an_exec_that_hangs_is_replaced(shared_fake: OnFake) -> None:
    job_id = shared_fake.running_job("p2b", waits("echo down"))
    shared_fake.fake.call(lambda cluster: setattr(cluster.faults, "exec_hangs", True))
    shared_fake.touch(job_id, "go")
    before = shared_fake.fake.call(lambda cluster: cluster.execs.served)
    wait_until(lambda: shared_fake.fake.call(lambda cluster: cluster.execs.served) > before, 90, "another exec")
    shared_fake.fake.call(lambda cluster: setattr(cluster.faults, "exec_hangs", False))
    shared_fake.fake.call(lambda cluster: cluster.execs.drop_all())
    assert shared_fake.danube.end_of(job_id, SECONDS)["status"] == "success"
    assert shared_fake.danube.printed(job_id).count("down\n") == 1


def test_3_5_6_an_evicted_pod_is_never_green_and_keeps_its_log(shared_fake: OnFake) -> None:
    """Its command catches the signal and ends with 0. The log never comes from the kubelet, who would rotate it."""
    shared_fake.fake.call(lambda cluster: cluster.api.denied.add(("get", "pods/log")))
    command = (
        "trap 'exit 0' TERM; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo up; sleep 1000 & wait"
    )
    job_id = shared_fake.running_job("p3", job_of(f"step.run({command!r}, name='polite')"))
    message = "The node was low on resource: memory. "
    shared_fake.order(job_id, lambda cluster, pod: cluster.evict(JOBS, pod, message))
    job = shared_fake.danube.end_of(job_id, SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "evicted")
    assert "low on resource: memory" in job["message"]
    lines = [line for line in shared_fake.danube.printed(job_id).splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(2000)]


def test_4_a_pod_deleted_by_hand_is_read_before_it_goes(shared_fake: OnFake) -> None:
    job_id = shared_fake.running_job("p4", waits())
    shared_fake.order(job_id, lambda cluster, pod: cluster.delete_pod(JOBS, pod))
    job = shared_fake.danube.end_of(job_id, SECONDS)
    assert job["status"] == "failure"
    assert "delete" in job["message"], job["message"]
    wait_until(lambda: not shared_fake.fake.call(FakeCluster.pods), 60, "the pod to be removed")


def test_8_exit_codes_arrive_as_they_were(shared_fake: OnFake) -> None:
    lines = [f"assert step.run('exit {code}', check=False).exit_code == {code}" for code in (1, 2, 126, 137, 143, 255)]
    shared_fake.danube.pipeline("p8", job_of(*lines, "step.run('kill -9 $$', name='killed')"))
    shared_fake.danube.sync()
    job = shared_fake.danube.end_of(shared_fake.danube.trigger("p8"), SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "step-failed")
    assert "SIGKILL" in job["message"] or "137" in job["message"]


def test_10_preemption_is_not_a_cancellation(shared_fake: OnFake) -> None:
    job_id = shared_fake.running_job("p10", waits())
    shared_fake.order(job_id, lambda cluster, pod: cluster.preempt(JOBS, pod))
    job = shared_fake.danube.end_of(job_id, SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "preempted")
    other = shared_fake.running_job("p10b", waits())
    shared_fake.danube.command("cancel", other)
    assert shared_fake.danube.end_of(other, SECONDS)["status"] == "cancelled"


def test_20_a_waiting_job_says_what_it_waits_for(shared_fake: OnFake) -> None:
    def cordon(cluster: FakeCluster, *, closed: bool) -> None:
        node = cluster.objects(NODES)[0]
        node["spec"]["unschedulable"] = closed
        cluster.store.update(NODES, node)

    shared_fake.fake.call(lambda cluster: cordon(cluster, closed=True))
    shared_fake.danube.pipeline("p20", job_of("step.run('echo up')"))
    shared_fake.danube.sync()
    job_id = shared_fake.danube.trigger("p20")
    shared_fake.danube.wait_for_log(job_id, "0/1 nodes are available: 1 node(s) were unschedulable", 60)
    shared_fake.fake.call(lambda cluster: cordon(cluster, closed=False))
    assert shared_fake.danube.end_of(job_id, SECONDS)["status"] == "success"


def test_7_what_belongs_to_no_job_is_removed_and_nothing_else(on_fake: OnFake) -> None:
    job_id = on_fake.running_job("p7", waits())
    name = on_fake.pod_of(job_id)

    def leave(cluster: FakeCluster) -> list[str]:
        """A copy of the job's pod for a job that does not exist, and one of another Danube."""
        made = []
        for suffix, change in (("left", {}), ("other", {"danube.dev/instance": "another"})):
            pod: dict[str, Any] = json.loads(json.dumps(cluster.pod(JOBS, name)))
            pod["metadata"] = {
                "name": f"danube-{suffix}",
                "namespace": JOBS,
                "labels": {**pod["metadata"]["labels"], "danube.dev/pod": suffix, **change},
                "annotations": {"danube.dev/job": "none"},
            }
            pod["spec"].pop("nodeName")
            pod["status"] = {"phase": "Pending"}
            cluster.store.create(PODS, pod)
            made.append(f"danube-{suffix}")
        return made

    on_fake.danube.kill()
    left, other = on_fake.fake.call(leave)
    on_fake.danube.serve()
    wait_until(lambda: left not in names_of(on_fake), 120, "the pod without a job to be removed")
    assert {other, name} <= set(names_of(on_fake))
    on_fake.touch(job_id, "go")
    assert on_fake.danube.end_of(job_id, SECONDS)["status"] == "success"


def names_of(on_fake: OnFake) -> list[str]:
    return on_fake.fake.call(lambda cluster: [pod["metadata"]["name"] for pod in cluster.pods()])


def test_9_18_a_restarted_server_continues_jobs_and_ends_lost_ones(on_fake: OnFake) -> None:
    kept = on_fake.running_job("p9", waits("echo down"))
    lost = on_fake.running_job("p9b", waits())
    on_fake.danube.kill()
    on_fake.order(lost, lambda cluster, pod: cluster.evict(JOBS, pod, "The node was low on resource: memory. "))
    on_fake.danube.serve()
    job = on_fake.danube.end_of(lost, SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "evicted")
    on_fake.danube.kill()
    on_fake.danube.serve()
    on_fake.touch(kept, "go")
    assert on_fake.danube.end_of(kept, SECONDS)["status"] == "success"
    printed = on_fake.danube.printed(kept).splitlines()
    assert [line for line in printed if line in ("up", "down")] == ["up", "down"]
