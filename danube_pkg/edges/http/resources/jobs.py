"""Jobs: lists, one with its steps, and what people do with them."""

from collections.abc import Mapping
from typing import Annotated, Any

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, can
from danube_pkg.core.jobs.explanation import explain, summary_of
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import HINTS, Status
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.caching import AnswerCache, json_answer, unless_known
from danube_pkg.edges.http.server.compression import takes_gzip
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.forge_links import commit_url
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.requests import approve, rerun

JOB_PATTERN = r"[0-9a-z-]{1,64}"
PAGE = 50
MAX_PAGE = 200


class PullRequestView(Record):
    """What is proposed. `url` is the forge's word for it; `fork`: whether the code is of people who may not write there."""

    number: int
    title: str
    url: str
    source_branch: str
    target_branch: str
    source_repository: str
    fork: bool


class TriggerView(Record):
    """What started a job. `rerun_of`: the job that it repeats. `commit_sha`: null until it is resolved, and where the
    repository is a directory without Git. `commit_message`: its first line; it and `commit_author` are empty until they are
    known."""

    type: str
    actor: str
    ref: str
    branch: str
    tag: str
    commit_sha: str | None
    commit_message: str
    commit_author: str
    params: Mapping[str, str]
    rerun_of: str
    pull_request: PullRequestView | None


class JobSummary(Record):
    """A job in a list. `hint`: what mends it, where it ended badly."""

    id: str
    pipeline: str
    status: Status
    reason: str
    message: str
    hint: str
    trigger: TriggerView
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class StepView(Record):
    """`log_begin` and `log_end` are byte offsets in the job's log; both 0 until the job has ended."""

    sequence: int
    name: str
    image: str
    status: Status
    reason: str
    message: str
    exit_code: int | None
    signal: int | None
    attempt: int
    retries: int
    checked: bool
    started_at: Time | None
    finished_at: Time | None
    duration_seconds: float | None
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    output_bytes: int | None
    log_begin: int
    log_end: int


class JobDetail(Record):
    """A job with its steps. `source_rule`: by which rule of git_authentication its code was read. `commit_url`: its commit at the forge, empty where that is not known. `may`: what the caller may do with it. Both are absent in events, which are for everybody alike."""

    id: str
    pipeline: str
    status: Status
    reason: str
    message: str
    hint: str
    trigger: TriggerView
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    deadline_at: Time | None
    source_rule: str
    steps: tuple[StepView, ...]
    commit_url: str = ""
    may: tuple[str, ...] = ()


class JobPage(Record):
    """`cursor`: what gives the next page; null on the last."""

    jobs: tuple[JobSummary, ...]
    cursor: str | None


class JobsQuery(Record):
    """Every filter can be combined with every other."""

    pipeline: str | None = None
    status: Status | None = None
    branch: str | None = None
    cursor: Annotated[str | None, rule(pattern=JOB_PATTERN)] = None
    limit: Annotated[int, rule(at_least=1, at_most=MAX_PAGE)] = PAGE


class Jobs(Resource):
    """`/api/v1/jobs`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._kept = AnswerCache()

    @answers(200, 304)
    async def GET(self, request: Request, query: JobsQuery) -> JobPage | Response:
        """Jobs that the caller may see, newest first."""
        version = self.services.jobs.version()
        visible = await self.services.access.readable(request.actor)
        key = (visible, query, takes_gzip(request))
        response = self._kept.find(version, key)
        if response is None:
            response = json_answer(request, await self._page(visible, query))
            self._kept.keep(version, key, response)
        return unless_known(request, response)

    async def _page(self, visible: frozenset[str] | None, query: JobsQuery) -> JobPage | Response:
        asked = frozenset({query.pipeline}) if query.pipeline is not None else None
        pipelines = visible if asked is None else asked if visible is None else asked & visible
        wanted = JobFilter(pipelines, query.status, query.branch, query.cursor, query.limit)
        jobs = await self.services.jobs.list_jobs(wanted)
        return JobPage(tuple(map(job_summary, jobs)), jobs[-1].id if len(jobs) == query.limit else None)


class OneJob(Resource):
    """`/api/v1/jobs/{job}`."""

    async def GET(self, request: Request) -> JobDetail:
        """One job with its steps."""
        job, applied = request.job, self.services.applied
        may = tuple(action for action in Action if can(request.actor, action, request.target))
        return job_detail(job, may, commit_url(job.settings.repository, applied, job.trigger.revision.commit_sha))


class JobCancel(Resource):
    """`/api/v1/jobs/{job}/cancel`."""

    @answers(202, refuses=(409,))
    async def POST(self, request: Request) -> JobSummary:
        """End a job that has not ended; its commands get SIGTERM, then SIGKILL."""
        return job_summary(await self.services.engine.cancel(request.job.id, request.actor.name))


class JobRerun(Resource):
    """`/api/v1/jobs/{job}/rerun`."""

    @answers(201, refuses=(409, 503))
    async def POST(self, request: Request) -> JobSummary:
        """A new job of the same commit with the same parameters, by the pipeline as it is configured now."""
        engine, by = self.services.engine, request.actor.name
        return job_summary(await rerun(engine, request.job, by, new_job_id=request.reserved_id))


class Approval(Record):
    """`commit_sha`: the commit that the approver has looked at."""

    commit_sha: Annotated[str, rule(pattern=r"[0-9a-f]{40}([0-9a-f]{24})?")]


class JobApprove(Resource):
    """`/api/v1/jobs/{job}/approve`."""

    @answers(202, refuses=(409,))
    async def POST(self, request: Request, body: Approval) -> JobSummary:
        """Let a job of strangers' code run. The approval is for exactly that commit."""
        return job_summary(await approve(self.services.engine, request.job, body.commit_sha, request.actor.name))


class Explanation(Record):
    """`about`: what the job is of; `lines`: the causal chain, from what is seen to what is behind it; `hint`: the next thing
    to do. `position`: of a job that waits, 1 is next, null where it is in no order; `waits_for`: what keeps it from
    starting."""

    about: str
    lines: tuple[str, ...]
    hint: str
    position: int | None = None
    waits_for: str | None = None


class JobExplanation(Resource):
    """`/api/v1/jobs/{job}/explanation`."""

    async def GET(self, request: Request) -> Explanation:
        """Why a job waits, or why it failed."""
        job = request.job
        waiting = self.services.engine.waiting(job) if job.phase is Phase.QUEUED else None
        found = explain(job, waiting, self.services.draining.by)
        return Explanation(summary_of(job), found.lines, found.hint, found.position or None, found.waits_for)


def job_summary(job: Job) -> JobSummary:
    """A job in a list."""
    return JobSummary(
        id=job.id,
        pipeline=job.pipeline,
        status=job.status,
        reason=job.reason,
        message=job.message,
        hint=HINTS.get(job.reason, "") if job.status.ended else "",
        trigger=_trigger_view(job),
        created_at=iso(job.created_at),
        started_at=iso_or_none(job.started_at),
        finished_at=iso_or_none(job.finished_at),
    )


def job_detail(job: Job, may: tuple[str, ...] = (), commit_url: str = "") -> JobDetail:
    """A job with its steps."""
    return JobDetail(
        id=job.id,
        pipeline=job.pipeline,
        status=job.status,
        reason=job.reason,
        message=job.message,
        hint=HINTS.get(job.reason, "") if job.status.ended else "",
        trigger=_trigger_view(job),
        created_at=iso(job.created_at),
        started_at=iso_or_none(job.started_at),
        finished_at=iso_or_none(job.finished_at),
        deadline_at=iso_or_none(job.deadline_at),
        source_rule=job.source_rule,
        steps=tuple(step_view(step) for step in job.steps if step.sequence != COORDINATOR_SEQUENCE),
        commit_url=commit_url,
        may=may,
    )


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
    )


def step_view(step: Step) -> StepView:
    """A step."""
    end = step.end
    return StepView(
        sequence=step.sequence,
        name=step.name,
        image=step.image,
        status=step.status,
        reason=end.reason if end else "",
        message=end.message if end else "",
        exit_code=end.exit_code if end else None,
        signal=end.signal if end else None,
        attempt=step.attempt,
        retries=step.retries,
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
