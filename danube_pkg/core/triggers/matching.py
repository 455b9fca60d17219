"""Which pipelines an event starts, which it skips, and why: by repository, kind of trigger, branch, files and `[skip
ci]`.

When in doubt a pipeline runs: where Git cannot say which files changed, a filter of paths counts as met.
"""

from collections.abc import Iterable, Mapping, Sequence

from danube_pkg.core.configuration.pipelines import PipelineEnd, PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.errors import Defect
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Status
from danube_pkg.core.repositories.globs import matches
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.core.triggers.inbox import PipelineEnded
from danube_pkg.core.triggers.requests import request_mismatch
from danube_pkg.core.triggers.skip_marks import skip_mark
from danube_pkg.core.triggers.webhooks.events import (
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.records import Record, replace

MAX_NAMES = 200
"""Characters of a filter that a sentence quotes: one is stored for each pipeline and delivery."""


class Start(Record):
    """A job of the pipeline is created."""

    pipeline: str
    trigger: Trigger


class Skip(Record):
    """The event matches the pipeline's triggers, but no job is created. why: one sentence.

    reported: whether the commit gets a successful status. It does where the changed files decide, and it does not where
    the commit message asks for it: otherwise the author of a pull request could pass a required check without running
    it.
    """

    pipeline: str
    trigger: Trigger
    why: str
    reported: bool = False


class NotMatched(Record):
    """The pipeline belongs to the event's repository, but its triggers do not include the event. why: one sentence."""

    pipeline: str
    why: str


class Listed(Record):
    """A comparison found a head that would start a job, and a user decides. why: one sentence with the command."""

    pipeline: str
    why: str


Match = Start | Skip | NotMatched | Listed


class PipelineIndex:
    """The pipelines of one configuration, found by what may start them."""

    def __init__(self, pipelines: Iterable[PipelineDefinition]) -> None:
        self._by_repository: dict[str, list[PipelineDefinition]] = {}
        self._after: dict[str, list[tuple[PipelineDefinition, TriggerSpec]]] = {}
        self.schedules: list[tuple[PipelineDefinition, TriggerSpec]] = []
        for one in pipelines:
            self._by_repository.setdefault(_key(one.spec.repository), []).append(one)
            for trigger in one.spec.triggers:
                if trigger.kind is TriggerKind.PIPELINE:
                    self._after.setdefault(trigger.pipeline, []).append((one, trigger))
                elif trigger.kind is TriggerKind.CRON:
                    self.schedules.append((one, trigger))

    def of_repository(self, repository: WebhookRepository) -> Sequence[PipelineDefinition]:
        """The pipelines of a repository, by any of its URLs; each once, sorted by name."""
        found: Mapping[str, PipelineDefinition] = {
            one.name: one for url in repository.urls for one in self._by_repository.get(_key(url), ())
        }
        return [found[name] for name in sorted(found)]

    def after(self, ended: PipelineEnded) -> Sequence[PipelineDefinition]:
        """The pipelines that wait for ends of that pipeline's jobs; each once, sorted by name."""
        found = {one.name: one for one, _ in self._after.get(ended.pipeline, ())}
        return [found[name] for name in sorted(found)]

    def starts_others(self, pipeline: str) -> bool:
        """Whether the end of one of the pipeline's jobs may start other pipelines."""
        return pipeline in self._after


def match_event(event: WebhookEvent, pipeline: PipelineDefinition, changed: Sequence[str] | None = None) -> Match:
    """What an event of the pipeline's own repository does to the pipeline.

    changed: the changed files of a push or pull request, None where they are not known. Raises Defect for other events.
    """
    if why_not := _mismatch(event, pipeline.spec):
        return NotMatched(pipeline.name, why_not)
    match event:
        case Push():
            return _filtered(pipeline, push_trigger(event), event.message, changed)
        case TagPush():
            return Start(pipeline.name, tag_trigger(event))
        case PullRequest():
            return _filtered(pipeline, pull_request_trigger(event), event.message, changed)
    raise Defect("event-unmatched", f"no rule matches {type(event).__name__} to a pipeline")


def includes_event(event: WebhookEvent, pipeline: PipelineDefinition) -> bool:
    """Whether the pipeline's triggers and branches include the event, whatever its commits contain."""
    return not _mismatch(event, pipeline.spec)


def needs_changed_files(event: WebhookEvent, pipelines: Iterable[PipelineDefinition]) -> bool:
    """Whether the event is a push or a pull request whose changed files decide about one of the pipelines."""
    return isinstance(event, Push | PullRequest) and any(
        (one.spec.paths or one.spec.paths_ignore) and isinstance(match_event(event, one), Start) for one in pipelines
    )


def match_pipeline_end(ended: PipelineEnded, pipeline: PipelineDefinition) -> Match:
    """What the end of another pipeline's job does to this pipeline.

    The new job has the same commit where both pipelines have one repository, else the newest commit of the default
    branch.
    """
    spec = pipeline.spec
    results = [one.result for one in spec.triggers if one.pipeline == ended.pipeline]
    if not any(_fits(result, ended.status) for result in results):
        wanted = " or ".join(sorted({str(result) for result in results}))
        return NotMatched(pipeline.name, f"it waits for {wanted} of {ended.pipeline}, and this was {ended.status}")
    if _key(spec.repository) != _key(ended.repository):
        return Start(pipeline.name, Trigger("pipeline", _ended_by(ended), upstream_job_id=ended.job_id))
    branch = ended.revision.branch
    if spec.branch_filter and not (branch and _branch_matches(spec, branch)):
        return NotMatched(pipeline.name, _branch_mismatch(spec, branch))
    trigger = Trigger("pipeline", _ended_by(ended), ended.revision, upstream_job_id=ended.job_id)
    return Start(pipeline.name, trigger)


def _fits(result: PipelineEnd, status: str) -> bool:
    return result is PipelineEnd.ALWAYS or (result is PipelineEnd.SUCCESS) == (status == Status.SUCCESS)


def push_trigger(event: Push) -> Trigger:
    """The trigger of jobs that a push starts."""
    revision = Revision(
        event.commit_sha,
        f"refs/heads/{event.branch}",
        branch=event.branch,
        commit_message=event.subject,
        commit_author=event.author,
    )
    return Trigger("webhook", event.actor, revision)


def tag_trigger(event: TagPush) -> Trigger:
    """The trigger of jobs that a tag starts."""
    revision = Revision(
        event.commit_sha,
        f"refs/tags/{event.tag}",
        tag=event.tag,
        commit_message=event.subject,
        commit_author=event.author,
    )
    return Trigger("webhook", event.actor, revision)


def pull_request_trigger(event: PullRequest) -> Trigger:
    """The trigger of a pull request's jobs. It has no `branch`: a danubefile that deploys `main` must not deploy a pull
    request from a branch of that name. It is untrusted until `with_trust` says otherwise."""
    return Trigger(
        type="webhook",
        actor=event.actor,
        revision=Revision(event.commit_sha, event.ref, commit_message=event.subject, commit_author=event.author),
        pull_request={
            "number": event.number,
            "title": event.title,
            "url": event.url,
            "source_branch": event.source_branch,
            "target_branch": event.target_branch,
            "source_repository": event.source_repository,
            "fork": event.fork,
            "trusted": False,
        },
    )


def with_trust(trigger: Trigger, why_untrusted: str) -> Trigger:
    """The trigger of a pull request after its head was compared with Git's branches. why_untrusted: "" if Git confirmed
    it."""
    facts = {"trusted": not why_untrusted, "why_untrusted": why_untrusted}
    return replace(trigger, pull_request={**(trigger.pull_request or {}), **facts})


def with_membership(trigger: Trigger, login: str, why_not: str) -> Trigger:
    """The trigger of untrusted code after its forge was asked about the user who pushed it. why_not: why the user is
    not known to be allowed to write, "" if the forge said so. Only the approval is waived: the code stays untrusted."""
    facts = dict(trigger.pull_request or {})
    if why_not:
        facts["why_untrusted"] = f"{facts.get('why_untrusted', '')}; trust: members does not apply, since {why_not}"
    else:
        facts["member"] = login
    return replace(trigger, pull_request=facts)


def _ended_by(ended: PipelineEnded) -> str:
    return f"job {ended.job_id} of {ended.pipeline}"


def _mismatch(event: WebhookEvent, spec: PipelineSpec) -> str:
    """Why the pipeline's triggers or branches do not include the event; "" where they do."""
    match event:
        case Push():
            kind, branch = TriggerKind.PUSH, event.branch
        case TagPush():
            kind, branch = TriggerKind.TAG, ""
        case PullRequest(change=PullRequestChange.CLOSED):
            return "a closed pull request starts no job"
        case PullRequest():
            kind, branch = TriggerKind.PULL_REQUEST, event.target_branch
        case TagDeleted():
            return "a deleted tag starts no job"
        case _:
            return "a deleted branch starts no job"
    if not _has(spec, kind):
        return f"its triggers do not include {kind}"
    if branch and not _branch_matches(spec, branch):
        return _branch_mismatch(spec, branch)
    return request_mismatch(event, spec) if isinstance(event, PullRequest) else ""


def _branch_mismatch(spec: PipelineSpec, branch: str) -> str:
    what = f"does not match the branch {branch}" if branch else "does not match a job without a branch"
    names = ", ".join(spec.branch_filter)
    return f"its branch_filter ({names if len(names) < MAX_NAMES else f'{names[:MAX_NAMES]}…'}) {what}"


def _filtered(pipeline: PipelineDefinition, trigger: Trigger, message: str, changed: Sequence[str] | None) -> Match:
    if mark := skip_mark(message):
        return Skip(pipeline.name, trigger, f"the commit message contains {mark}")
    if changed and not _paths_match(pipeline.spec, changed):
        return Skip(pipeline.name, trigger, _path_mismatch(pipeline.spec, changed), reported=True)
    return Start(pipeline.name, trigger)


def _paths_match(spec: PipelineSpec, changed: Sequence[str]) -> bool:
    left = [path for path in changed if not any(matches(pattern, path) for pattern in spec.paths_ignore)]
    if not spec.paths:
        return bool(left)
    return any(matches(pattern, path) for path in left for pattern in spec.paths)


def _path_mismatch(spec: PipelineSpec, changed: Sequence[str]) -> str:
    if not spec.paths:
        return f"only files of its paths_ignore changed ({len(changed)})"
    if len(changed) == 1:
        return "the one changed file does not match its paths"
    return f"none of the {len(changed)} changed files matches its paths"


def _has(spec: PipelineSpec, kind: TriggerKind) -> bool:
    return any(trigger.kind is kind for trigger in spec.triggers)


def _branch_matches(spec: PipelineSpec, branch: str) -> bool:
    return not spec.branch_filter or any(matches(pattern, branch) for pattern in spec.branch_filter)


def _key(repository: str) -> str:
    try:
        return canonical(repository).lower()
    except ValueError:
        return f"not a URL: {repository}"  # from a delivery; no pipeline has such a repository
