"""Which pipelines an event starts, which it skips, and why: repository, kind of trigger, branch, files, `[skip ci]`.

Nothing is guessed in favour of not running: where a forge does not say which files changed, a filter counts as met.
"""

import re
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
from danube_pkg.core.triggers.webhooks.events import (
    PullRequest,
    PullRequestChange,
    Push,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.records import Record

MAX_NAMES = 200
"""Characters of a filter that are quoted: a sentence is kept for each pipeline of each delivery."""

_SKIP_CI = re.compile(r"\[(skip ci|ci skip)\]", re.IGNORECASE)


class Start(Record):
    """The pipeline gets a job."""

    pipeline: str
    trigger: Trigger


class Skip(Record):
    """The pipeline is concerned and gets none. why: one sentence.

    reported: whether the forge is told that all is well: only where the change itself decides it, and not where a commit's
    message asks for it, or whoever proposes code could wave a required check through.
    """

    pipeline: str
    trigger: Trigger
    why: str
    reported: bool = False


class NotMeant(Record):
    """The pipeline is of that repository, and its definition wants no such event. why: one sentence."""

    pipeline: str
    why: str


Verdict = Start | Skip | NotMeant


class PipelineIndex:
    """The pipelines of one state of the configuration, found by what may start them."""

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
        """Those of a repository by any of its addresses, each once, by name."""
        found: Mapping[str, PipelineDefinition] = {
            one.name: one for url in repository.urls for one in self._by_repository.get(_key(url), ())
        }
        return [found[name] for name in sorted(found)]

    def after(self, ended: PipelineEnded) -> Sequence[PipelineDefinition]:
        """Those that start when that job has ended as it did, each once, by name."""
        found = {
            one.name: one
            for one, trigger in self._after.get(ended.pipeline, ())
            if trigger.result is PipelineEnd.ALWAYS
            or (trigger.result is PipelineEnd.SUCCESS) == (ended.status == Status.SUCCESS)
        }
        return [found[name] for name in sorted(found)]

    def is_waited_for(self, pipeline: str) -> bool:
        """Whether the end of its jobs may start others."""
        return pipeline in self._after


def judge(event: WebhookEvent, pipeline: PipelineDefinition, changed: Sequence[str] | None = None) -> Verdict:
    """What an event of a pipeline's own repository does to it.

    changed: a pull request's files, where somebody found them out; no forge sends them.
    """
    if why_not := _why_not_meant(event, pipeline.spec):
        return NotMeant(pipeline.name, why_not)
    match event:
        case Push():
            return _filtered(pipeline, push_trigger(event), event.message, event.changed)
        case TagPush():
            return _filtered(pipeline, tag_trigger(event), event.message, None)
        case PullRequest():
            return _filtered(pipeline, pull_request_trigger(event), event.message, changed)
    raise Defect("event-unmatched", f"no rule says what {type(event).__name__} does to a pipeline")


def wants_changed_files(event: WebhookEvent, pipelines: Iterable[PipelineDefinition]) -> bool:
    """Whether the files of a pull request would decide something."""
    return isinstance(event, PullRequest) and any(
        (one.spec.paths or one.spec.paths_ignore) and isinstance(judge(event, one), Start) for one in pipelines
    )


def judge_end(ended: PipelineEnded, pipeline: PipelineDefinition) -> Verdict:
    """What the end of another pipeline's job does. Of the same repository it is the same commit, else the newest."""
    spec = pipeline.spec
    if _key(spec.repository) != _key(ended.repository):
        return Start(pipeline.name, Trigger(type="pipeline", actor=_ended_by(ended)))
    branch = ended.revision.branch
    if spec.branch_filter and not (branch and _is_meant(spec, branch)):
        return NotMeant(pipeline.name, _outside(spec, branch))
    return Start(pipeline.name, Trigger("pipeline", _ended_by(ended), ended.revision))


def push_trigger(event: Push) -> Trigger:
    """As jobs know it."""
    revision = Revision(
        event.commit_sha,
        f"refs/heads/{event.branch}",
        branch=event.branch,
        commit_message=event.subject,
        commit_author=event.author,
    )
    return Trigger("webhook", event.actor, revision)


def tag_trigger(event: TagPush) -> Trigger:
    """As jobs know it."""
    revision = Revision(
        event.commit_sha,
        f"refs/tags/{event.tag}",
        tag=event.tag,
        commit_message=event.subject,
        commit_author=event.author,
    )
    return Trigger("webhook", event.actor, revision)


def pull_request_trigger(event: PullRequest) -> Trigger:
    """As jobs know it. It has no `branch`: a danubefile that deploys `main` must not take a proposal named so for it."""
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
        },
    )


def _ended_by(ended: PipelineEnded) -> str:
    return f"{ended.pipeline} job {ended.job_id}"


def _why_not_meant(event: WebhookEvent, spec: PipelineSpec) -> str:
    """Why an event is none that a pipeline's definition names, "" where it is one."""
    match event:
        case Push():
            kind, branch = TriggerKind.PUSH, event.branch
        case TagPush():
            kind, branch = TriggerKind.TAG, ""
        case PullRequest(change=PullRequestChange.CLOSED):
            return "the end of a pull request starts nothing"
        case PullRequest():
            kind, branch = TriggerKind.PULL_REQUEST, event.target_branch
        case _:
            return "the end of a branch starts nothing"
    if not _has(spec, kind):
        return f"its triggers name no {kind}"
    return _outside(spec, branch) if branch and not _is_meant(spec, branch) else ""


def _outside(spec: PipelineSpec, branch: str) -> str:
    what = f"does not match the branch {branch}" if branch else "names branches, and this is on none"
    names = ", ".join(spec.branch_filter)
    return f"its branch_filter ({names if len(names) < MAX_NAMES else f'{names[:MAX_NAMES]}…'}) {what}"


def _filtered(pipeline: PipelineDefinition, trigger: Trigger, message: str, changed: Sequence[str] | None) -> Verdict:
    if found := _SKIP_CI.search(message):
        return Skip(pipeline.name, trigger, f"the commit's message says {found.group(0)}")
    if changed and not _touches(pipeline.spec, changed):
        return Skip(pipeline.name, trigger, _why_not(pipeline.spec, changed), reported=True)
    return Start(pipeline.name, trigger)


def _touches(spec: PipelineSpec, changed: Sequence[str]) -> bool:
    left = [path for path in changed if not any(matches(pattern, path) for pattern in spec.paths_ignore)]
    if not spec.paths:
        return bool(left)
    return any(matches(pattern, path) for path in left for pattern in spec.paths)


def _why_not(spec: PipelineSpec, changed: Sequence[str]) -> str:
    count = "the one file that changed is" if len(changed) == 1 else f"none of the {len(changed)} files that changed is"
    negated = "not " if len(changed) == 1 else ""
    if spec.paths:
        return f"{count} {negated}among its paths"
    return f"only files that it ignores changed ({len(changed)})"


def _has(spec: PipelineSpec, kind: TriggerKind) -> bool:
    return any(trigger.kind is kind for trigger in spec.triggers)


def _is_meant(spec: PipelineSpec, branch: str) -> bool:
    return not spec.branch_filter or any(matches(pattern, branch) for pattern in spec.branch_filter)


def _key(repository: str) -> str:
    try:
        return canonical(repository).lower()
    except ValueError:
        return f"not a URL: {repository}"  # a stranger's; no pipeline has it
