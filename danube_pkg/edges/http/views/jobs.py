"""Jobs and their steps: in a list, one by one, and in live events."""

from collections.abc import Mapping
from typing import Annotated, Any

from danube_pkg.core.documents.marked import about, rule
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step, StepPhase, StepStatus
from danube_pkg.core.reasons import HINTS, Status
from danube_pkg.edges.http.views.report_notes import AnnotationView, CoverageView
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso, iso_or_none


class PullRequestView(Record):
    """The pull request or merge request that a job builds."""

    number: Annotated[int, about("Its number in the repository.")]
    title: Annotated[str, about("Its title when the webhook arrived.")]
    url: Annotated[str, about("Its page at the forge.")]
    source_branch: Annotated[str, about("The branch that is proposed.")]
    target_branch: Annotated[str, about("The branch that it would be merged into.")]
    source_repository: Annotated[str, about("The repository that the source branch is in.")]
    fork: Annotated[bool, about("True unless the forge reported that the source is a branch of the repository.")]
    trusted: Annotated[
        bool, about("True if Git confirmed that. Otherwise a job needs an approval and gets no secrets.")
    ]


class TriggerView(Record):
    """What started a job, and the commit that it builds."""

    type: Annotated[str, about("manual, webhook, cron or pipeline.")]
    actor: Annotated[str, about("The user, the forge's account or the schedule that started it.")]
    ref: Annotated[str, about("The ref that led to the commit: refs/heads/main, for example.")]
    branch: Annotated[str, about("The branch; empty for a tag and for a bare commit.")]
    tag: Annotated[str, about("The tag; empty for a branch and for a bare commit.")]
    commit_sha: Annotated[
        str | None, about("The full hash; null until it is resolved, and for a directory without Git.")
    ]
    commit_message: Annotated[str, about("The first line of the commit's message; empty until it is known.")]
    commit_author: Annotated[str, about("The name of the commit's author; empty until it is known.")]
    params: Annotated[Mapping[str, str], about("The job's parameters, `ctx.params` in the danubefile.")]
    rerun_of: Annotated[str, about("The id of the job that this one repeats; empty otherwise.")]
    failed_steps: Annotated[
        bool, about("Whether it repeats that job for its failed steps: the others are restored where they can be.")
    ]
    rebuild_of: Annotated[str, about("The id of the job whose outputs this one is compared with; empty otherwise.")]
    pull_request: Annotated[PullRequestView | None, about("The pull request; null if there is none.")]


class JobSummary(Record):
    """A job in a list."""

    id: Annotated[str, about("The job's id; ids sort by creation time.")]
    pipeline: Annotated[str, about("The name of its pipeline.")]
    status: Annotated[Status, about("How the job is, or how it ended.")]
    reason: Annotated[str, about("Why it ended so, as a stable word; empty if there is nothing to explain.")]
    message: Annotated[str, about("The reason in one sentence.")]
    hint: Annotated[str, about("What to do about it; empty unless the job ended badly.")]
    trigger: Annotated[TriggerView, about("What started it.")]
    created_at: Annotated[Time, about("When it was created.")]
    started_at: Annotated[Time | None, about("When it left the queue; null before that.")]
    finished_at: Annotated[Time | None, about("When it ended; null before that.")]


class StepView(Record):
    """A step of a job."""

    sequence: Annotated[int, about("Its number in the job, from 1.")]
    name: Annotated[str, about("The name that the danubefile gives it.")]
    image: Annotated[str, about("The image of its container.")]
    shell: Annotated[str, about("The program that runs its command, with options; empty for /bin/sh -e.")]
    leg: Annotated[str, about("The leg of a matrix that it belongs to, as `python=3.12`; empty for none.")]
    is_isolated: Annotated[bool, about("Whether that leg has a network and a workspace of its own.")]
    status: Annotated[
        StepStatus,
        about("How the step is, or how it ended; restored: an earlier job's snapshot took the place of its command."),
    ]
    restored_from: Annotated[str, about("The job that ran it, if it is restored; empty otherwise.")]
    before: Annotated[
        str, about("How it ended in the job whose failed steps this one repeats; empty if it was not in it.")
    ]
    reason: Annotated[str, about("Why it ended so, as a stable word.")]
    message: Annotated[str, about("The reason in one sentence.")]
    exit_code: Annotated[int | None, about("The command's exit code; null if it did not exit by itself.")]
    signal: Annotated[int | None, about("The signal that ended it; null if none did.")]
    attempt: Annotated[int, about("Which attempt this is, from 1.")]
    retries: Annotated[int, about("How many further attempts a failure may have.")]
    next_attempt_at: Annotated[
        Time | None, about("Until when a further attempt waits, by the danubefile's pause; null for none.")
    ]
    checked: Annotated[bool, about("False if the job continues after a failure of this step.")]
    started_at: Annotated[Time | None, about("When its command was started; null before that.")]
    finished_at: Annotated[Time | None, about("When it ended; null before that.")]
    duration_seconds: Annotated[float | None, about("Wall time; null until it has ended.")]
    cpu_seconds: Annotated[
        float | None, about("User and system time of all of its processes; null until it has ended.")
    ]
    peak_memory_bytes: Annotated[int | None, about("The most memory that it had at once; null if it is not known.")]
    output_bytes: Annotated[int | None, about("Bytes that it printed; null until it has ended.")]
    log_begin: Annotated[int, about("Byte offset of its output in the job's log; 0 until the job has ended.")]
    log_end: Annotated[int, about("Byte offset behind its output; 0 until the job has ended.")]


class ApprovalView(Record):
    """An environment that the job asked for in its middle."""

    sequence: Annotated[int, about("Its number in the job.")]
    environment: Annotated[str, about("The environment's name in the pipeline's YAML.")]
    state: Annotated[
        ApprovalState,
        about(
            "waiting: for a decision; approved: the job waits for a slot; granted: it continued; rejected, expired or"
            " cancelled: it ended."
        ),
    ]
    approvers: Annotated[tuple[str, ...], about("Teams and users who may decide.")]
    requested_at: Annotated[Time, about("When the job asked.")]
    expires_at: Annotated[Time, about("When the wait ends without a decision.")]
    decided_by: Annotated[str, about("The user who approved or rejected it; empty before.")]
    decided_at: Annotated[Time | None, about("When; null before.")]
    reason: Annotated[str, about("Why, in the user's words; may be empty.")]


class JobDetail(JobSummary):
    """A job with its steps."""

    deadline_at: Annotated[Time | None, about("When it is ended for taking too long; null before it starts.")]
    grace_until: Annotated[
        Time | None,
        about("Until when a job that is ending may clean up; null unless it was cancelled or reached its deadline."),
    ]
    kept_until: Annotated[
        Time | None,
        about("Until when the pod of a failed job is kept for `danube shell`; null for a job without a kept pod."),
    ]
    source_rule: Annotated[str, about("The rule of git_authentication by which its code was read; empty if none was.")]
    egress_enforced_by: Annotated[
        str,
        about(
            "What was seen to keep its pod from passing by the egress proxy: no-route (the sandbox), network-policy, or "
            "nothing; empty before the pod runs."
        ),
    ]
    steps: Annotated[tuple[StepView, ...], about("Its steps, in the order of their numbers.")]
    approvals: Annotated[tuple[ApprovalView, ...], about("Environments that it asked for, oldest first.")]
    commit_url: Annotated[str, about("The commit's page at the forge; empty if it is not known, and in events.")] = ""
    may: Annotated[
        tuple[str, ...],
        about(
            "The actions that the caller may take on it, approve-environment and reject-environment among them while it waits for the caller's decision; empty in events."
        ),
    ] = ()
    approval_refused: Annotated[
        str,
        about(
            "Why the caller may not approve the environment that it waits for; empty if the caller may, if it waits for "
            "none, and in events."
        ),
    ] = ""


class JobPage(Record):
    """A page of jobs."""

    jobs: Annotated[tuple[JobSummary, ...], about("Newest first.")]
    cursor: Annotated[str | None, about("The `cursor` of the next page; null on the last.")]


class Explanation(Record):
    """Why a job waits, or why it failed."""

    about: Annotated[str, rule("The pipeline, commit and author that the job is for.")]
    lines: Annotated[tuple[str, ...], about("The causes, from the visible one to the one behind it.")]
    hint: Annotated[str, about("What to do next; empty if there is nothing to do.")]
    position: Annotated[int | None, about("Place in the queue, 1 is next; null for a job that is not in it.")] = None
    waits_for: Annotated[str | None, about("What keeps it from starting; null if nothing does.")] = None
    coverage: Annotated[tuple[CoverageView, ...], about("The coverage that it has reported.")] = ()
    annotations: Annotated[
        tuple[AnnotationView, ...], about("Places of the repository that it has reported, failed tests too.")
    ] = ()


def job_summary(job: Job) -> JobSummary:
    """The job without its steps."""
    return JobSummary(**_summary_fields(job))


def job_detail(job: Job, may: tuple[str, ...] = (), commit_url: str = "", approval_refused: str = "") -> JobDetail:
    """The job with its steps."""
    return JobDetail(
        **_summary_fields(job),
        deadline_at=iso_or_none(job.deadline_at),
        grace_until=iso_or_none(job.grace_until),
        kept_until=iso_or_none(job.kept_until),
        source_rule=job.source_rule,
        egress_enforced_by=job.egress_enforced_by,
        steps=tuple(step_view(step) for step in job.steps if step.sequence != COORDINATOR_SEQUENCE),
        approvals=tuple(_approval_view(job, one) for one in job.approvals),
        commit_url=commit_url,
        may=may,
        approval_refused=approval_refused,
    )


def _approval_view(job: Job, approval: EnvironmentApproval) -> ApprovalView:
    environment = job.settings.environment_named(approval.environment)
    return ApprovalView(
        sequence=approval.sequence,
        environment=approval.environment,
        state=approval.state,
        approvers=environment.approvers if environment is not None else (),
        requested_at=iso(approval.requested_at),
        expires_at=iso(approval.expires_at),
        decided_by=approval.decided_by,
        decided_at=iso_or_none(approval.decided_at),
        reason=approval.reason,
    )


def _summary_fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "pipeline": job.pipeline,
        "status": job.status,
        "reason": job.reason,
        "message": job.message,
        "hint": HINTS.get(job.reason, "") if job.status.ended else "",
        "trigger": _trigger_view(job),
        "created_at": iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
    }


def _trigger_view(job: Job) -> TriggerView:
    one, revision = job.trigger, job.trigger.revision
    pull = one.pull_request
    return TriggerView(
        type=one.type,
        actor=one.actor,
        ref=revision.ref,
        branch=revision.branch,
        tag=revision.tag,
        commit_sha=revision.commit_sha or None,
        commit_message=revision.commit_message,
        commit_author=revision.commit_author,
        params=one.params,
        rerun_of=one.rerun_of,
        failed_steps=one.failed_steps,
        rebuild_of=one.rebuild.job if one.rebuild is not None else "",
        pull_request=_pull_request_view(pull) if pull is not None else None,
    )


def _pull_request_view(pull: Mapping[str, Any]) -> PullRequestView:
    return PullRequestView(
        number=int(pull.get("number", 0)),
        title=str(pull.get("title", "")),
        url=str(pull.get("url", "")),
        source_branch=str(pull.get("source_branch", "")),
        target_branch=str(pull.get("target_branch", "")),
        source_repository=str(pull.get("source_repository", "")),
        fork=bool(pull.get("fork")),
        trusted=pull.get("trusted") is True,
    )


def step_view(step: Step) -> StepView:
    """The step, with what its end reports."""
    end = step.end
    return StepView(
        sequence=step.sequence,
        name=step.name,
        image=step.image,
        shell=step.shell,
        leg=step.leg,
        is_isolated=step.isolation > 0,
        status=step.shown_status,
        restored_from=step.restored_from,
        before=step.before,
        reason=end.reason if end else "",
        message=end.message if end else "",
        exit_code=end.exit_code if end else None,
        signal=end.signal if end else None,
        attempt=step.attempt,
        retries=step.retries,
        next_attempt_at=iso_or_none(step.next_attempt_at) if step.phase is StepPhase.WAITING else None,
        checked=step.check,
        started_at=iso_or_none(step.started_at),
        finished_at=iso_or_none(step.finished_at),
        duration_seconds=end.wall_us / 1e6 if end else None,
        cpu_seconds=(end.user_us + end.system_us) / 1e6 if end else None,
        peak_memory_bytes=end.peak_memory_bytes if end else None,
        output_bytes=end.output_bytes if end else None,
        log_begin=step.log_begin,
        log_end=step.log_end,
    )
