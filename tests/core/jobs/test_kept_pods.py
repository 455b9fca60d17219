"""Whose pod is kept for a shell, until when, and what makes it go: the job itself is as it would be without."""

import pytest

from danube_pkg.core.errors import Conflict, NotFound
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, KeptPod, Phase
from danube_pkg.core.jobs.kept_pods import KeptPodBounds, exceeding, not_kept, step_of_shell
from danube_pkg.core.jobs.queue import holds_slot, slots_in_use
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import replace
from tests.core.jobs.test_transitions import GREEN, NOW, RED, RUNNING, a_job, a_step, after

SETTINGS = PipelineSettings("repo", keep_failed_seconds=1800, network=Network.ALLOWLIST)
FAILED = (*RUNNING, *a_step(1), ev.StepEnded(1, 1, RED), ev.Finished())
ENDING = (ev.StepsStopped(), ev.LogClosed({}, is_network_closed=True), ev.ProvenanceSigned(b"{}", "key"))
FORK = Trigger("webhook", "mallory", pull_request={"trusted": False, "number": 1})


def keeping(**changes: object) -> Job:
    return a_job(settings=replace(SETTINGS, **changes))  # type: ignore[arg-type]


def kept(job_id: str = "01j", at: float = NOW, size: int = 5) -> Job:
    job, _ = after(*FAILED, *ENDING, job=replace(keeping(workspace_size_gb=size), id=job_id))
    return replace(job, finished_at=at)


def test_the_pod_of_a_failed_job_is_kept_after_its_end_and_removed_when_it_is_released() -> None:
    job, owed = after(*FAILED, *ENDING, job=keeping())
    assert (job.phase, job.status, job.reason) == (Phase.ENDED, Status.FAILURE, Reason.STEP_FAILED)
    assert (job.keeps_pod, job.kept_until, job.is_settled) == (True, NOW + 1 + 1800, True)
    assert EffectKind.DELETE_POD not in [one.kind for one in owed]
    job, owed = after(ev.PodReleased(), job=job)
    assert ([one.kind for one in owed], owed[0].generation) == ([EffectKind.DELETE_POD], job.generation)
    assert (job.kept_until, job.is_settled) == (None, False)
    assert after(ev.PodReleased(), job=job) == (job, []), "the second of two reasons"
    job, _ = after(ev.PodDeleted(), job=job)
    assert (job.phase, job.status, job.is_settled) == (Phase.CLOSED, Status.FAILURE, False)
    assert after(ev.PodReleased(), job=job)[0] is job


@pytest.mark.parametrize(
    ("job", "events"),
    [
        (keeping(), (*RUNNING, *a_step(1), ev.StepEnded(1, 1, GREEN), ev.Finished())),
        (keeping(), (*RUNNING, *a_step(1), ev.CancelRequested("alice"))),
        (keeping(keep_failed_seconds=0), FAILED),
        (keeping(network=Network.HOST), FAILED),
        (replace(keeping(), trigger=FORK), FAILED),
        (replace(keeping(), trigger=replace(FORK, approved_by="alice")), FAILED),
        (keeping(), (*RUNNING, ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "no step")))),
    ],
    ids=["success", "cancelled", "off", "host-network", "untrusted", "untrusted-approved", "no-step"],
)
def test_no_other_pod_is_kept(job: Job, events: tuple[ev.JobEvent, ...]) -> None:
    job, owed = after(*events, job=job)
    assert (job.kept_pod, owed[-1].kind) == (KeptPod.NONE, EffectKind.DELETE_POD)
    assert job.phase is Phase.CONCLUDING


def test_a_pod_whose_network_is_not_certain_to_be_closed_is_removed() -> None:
    job, owed = after(*FAILED, ev.StepsStopped(), ev.LogClosed({}), job=keeping())
    assert [one.kind for one in owed][-2:] == [EffectKind.SIGN_PROVENANCE, EffectKind.DELETE_POD]
    job, _ = after(ev.ProvenanceSigned(b"{}", "key"), job=job)
    assert (job.phase, job.status, job.keeps_pod) == (Phase.ENDED, Status.FAILURE, False)


def test_a_job_whose_pod_is_kept_holds_no_slot_and_no_concurrency_group() -> None:
    job = kept()
    assert (holds_slot(job), slots_in_use([job])) == (False, 0)
    released, _ = after(ev.PodReleased(), job=job)
    assert holds_slot(released), "its pod is being removed"


def test_the_oldest_make_room() -> None:
    jobs = [kept("03", NOW + 3), kept("01", NOW + 1), kept("02", NOW + 2), a_job()]
    assert exceeding(jobs, KeptPodBounds(3, 100 << 30), is_room_short=False) == []
    assert exceeding(jobs, KeptPodBounds(2, 100 << 30), is_room_short=False) == ["01"]
    assert exceeding(jobs, KeptPodBounds(0, 100 << 30), is_room_short=False) == ["01", "02", "03"]
    assert exceeding(jobs, KeptPodBounds(9, 9 << 30), is_room_short=False) == ["01", "02"]
    assert exceeding(jobs, KeptPodBounds(9, 100 << 30), is_room_short=True) == ["01", "02", "03"]


def test_a_shell_begins_in_the_step_that_failed_the_job() -> None:
    unchecked = [*a_step(1, check=False), ev.StepEnded(1, 1, RED)]
    job, _ = after(*RUNNING, *unchecked, *a_step(2), ev.StepEnded(2, 1, RED), ev.Finished(), *ENDING, job=keeping())
    assert step_of_shell(job).sequence == 2
    assert step_of_shell(job, 1).sequence == 1
    with pytest.raises(NotFound, match="has no step 7 with a container") as refusal:
        step_of_shell(job, 7)
    assert "1 'step 1', 2 'step 2'" in refusal.value.hint


def test_a_job_that_failed_beside_its_steps_has_a_shell_in_the_last_one() -> None:
    green = [*a_step(1), ev.StepEnded(1, 1, GREEN)]
    error = ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "ValueError"))
    job, _ = after(*RUNNING, *green, error, *ENDING, job=keeping())
    assert step_of_shell(job).sequence == 1


@pytest.mark.parametrize(
    ("job", "cause", "hint"),
    [
        (after(*RUNNING, job=keeping())[0], "the job is running", "danube logs -f"),
        (replace(kept(), trigger=FORK, kept_pod=KeptPod.NONE), "an untrusted proposal", "danube run --keep"),
        (replace(kept(), status=Status.SUCCESS, kept_pod=KeptPod.NONE), "it ended as success", "danube logs"),
        (replace(kept(), settings=PipelineSettings("r"), kept_pod=KeptPod.NONE), "no keep_failed_seconds", "30m"),
        (replace(kept(), steps=(), kept_pod=KeptPod.NONE), "none of its steps ran in a container", "danube run"),
        (after(ev.PodReleased(), job=kept())[0], "it was removed already", "danube rerun"),
    ],
    ids=["running", "untrusted", "success", "off", "no-step", "released"],
)
def test_why_there_is_no_shell(job: Job, cause: str, hint: str) -> None:
    with pytest.raises(Conflict, match="is not kept") as refusal:
        step_of_shell(job)
    assert cause in refusal.value.cause
    assert hint in refusal.value.hint
    assert str(not_kept(job)) == str(refusal.value)


def test_explain_names_the_shell() -> None:
    lines = explain(kept(), None, "").lines
    assert lines[-1].startswith("Its pod is kept until 2027-")
    assert lines[-1].endswith("danube shell 01j.")
