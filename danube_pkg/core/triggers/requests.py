"""What a pull request's labels and draft state mean for a trigger, and which jobs its earlier events started."""

from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.repositories.globs import matches_across
from danube_pkg.core.triggers.inbox import InboxEntry, PipelineOutcome, Result
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange

_STATE_ALONE = (PullRequestChange.LABELED, PullRequestChange.READY)
"""Changes of a request whose code stays as it is."""

MAX_NAMES = 200
"""Characters of labels that a sentence quotes."""


def request_mismatch(event: PullRequest, spec: PipelineSpec) -> str:
    """Why none of the pipeline's triggers for pull requests includes the event; "" where one does."""
    why = ""
    for trigger in spec.triggers:
        if trigger.kind is TriggerKind.PULL_REQUEST:
            why = _trigger_mismatch(event, trigger)
            if not why:
                return ""
    return why


def _trigger_mismatch(event: PullRequest, trigger: TriggerSpec) -> str:
    if event.change is PullRequestChange.LABELED and not trigger.labels:
        return "labels start nothing: its trigger names none"
    if event.change is PullRequestChange.READY and not trigger.skip_drafts:
        return "it starts for drafts too, so that it did before"
    if event.draft and trigger.skip_drafts:
        return "the request is a draft"
    if trigger.labels and not any(matches_across(pattern, one) for pattern in trigger.labels for one in event.labels):
        names = ", ".join(trigger.labels)
        return f"the request has none of the labels {names if len(names) < MAX_NAMES else f'{names[:MAX_NAMES]}…'}"
    return ""


def started_before(event: PullRequest, earlier: Sequence[InboxEntry]) -> Mapping[str, tuple[str, PipelineOutcome]]:
    """By pipeline, the delivery and its outcome, where a job of this very head was started already: a label, or the end
    of the draft, starts no second one. A request that was reopened does.

    earlier: entries of the same request, the newest first.
    """
    found: dict[str, tuple[str, PipelineOutcome]] = {}
    for entry in earlier:
        before = entry.event
        if not isinstance(before, PullRequest) or before.change is PullRequestChange.CLOSED:
            break
        if (before.commit_sha, before.target_branch) != (event.commit_sha, event.target_branch):
            break
        if event.change not in _STATE_ALONE and before.change not in _STATE_ALONE:
            break
        for outcome in entry.outcomes:
            if outcome.result in (Result.STARTED, Result.KNOWN):
                found.setdefault(outcome.pipeline, (entry.key, outcome))
    return found
