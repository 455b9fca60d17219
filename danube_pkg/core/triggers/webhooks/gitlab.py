"""GitLab's webhooks: https://docs.gitlab.com/user/project/integrations/webhook_events/"""

from typing import Any

from danube_pkg.core.triggers.webhooks.commits import (
    MAX_WHAT,
    Parser,
    head_commit,
    head_of,
    push_event,
    repository_names,
)
from danube_pkg.core.triggers.webhooks.events import (
    Ignored,
    PullRequest,
    PullRequestChange,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.core.triggers.webhooks.payload import Payload, labels_of
from danube_pkg.core.triggers.webhooks.proposals import claims_own_branch, id_of

_CHANGES = {
    "open": PullRequestChange.OPENED,
    "reopen": PullRequestChange.OPENED,
    "update": PullRequestChange.UPDATED,
    "close": PullRequestChange.CLOSED,
    "merge": PullRequestChange.CLOSED,
}


def _repository(payload: Payload) -> WebhookRepository:
    return repository_names(payload, "path_with_namespace", ("git_http_url", "git_ssh_url", "web_url"))


def _push(payload: Payload) -> WebhookEvent:
    # checkout_sha is null for a deleted branch or tag; for an annotated tag it is the commit, and `after` is the tag.
    commit_sha = payload.hash("checkout_sha") if payload.value.get("checkout_sha") else payload.hash("after")
    actor = payload.text("user_username") or payload.text("user_name")
    repository = _repository(payload.object("project"))
    return push_event(payload, repository, actor, head_commit(payload, commit_sha))


def _merge_request(payload: Payload) -> WebhookEvent:
    request = payload.object("object_attributes")
    action = request.text("action")
    change = _change(payload, request, action)
    if change is None:
        return Ignored(f"merge_request {action}"[:100])
    repository, number = _repository(payload.object("project")), request.number("iid")
    head = head_of(request.object("last_commit"))
    source = request.maybe("source")
    user = payload.maybe("user")
    ids = [
        id_of(payload.maybe("project")),
        id_of(request, "target_project_id"),
        id_of(request, "source_project_id"),
        id_of(source),
    ]
    return PullRequest(
        repository,
        number,
        change,
        head.commit_sha,
        f"refs/merge-requests/{number}/head",
        request.name("source_branch"),
        request.name("target_branch"),
        fork=not claims_own_branch(ids, request.name("source_branch"), request),
        actor=user.text("username") if user is not None else "",
        source_repository=source.text("path_with_namespace") if source is not None else "",
        title=request.text("title"),
        message=head.message,
        url=request.url("url"),
        subject=head.subject,
        author=head.author,
        version=request.text("updated_at"),
        labels=labels_of(payload.objects("labels"), "title"),
        draft=request.flag("draft") or request.flag("work_in_progress"),
        **_pusher(request, user),
    )


def _change(payload: Payload, request: Payload, action: str) -> PullRequestChange | None:
    """What happened to the request; None for what starts nothing. An update without `oldrev` changed no code: a title,
    a reviewer, the target branch, a label, or the draft."""
    changes = payload.maybe("changes")
    if action != "update" or request.value.get("oldrev") or changes is None:
        return _CHANGES.get(action) if action != "update" or request.value.get("oldrev") else None
    if changes.maybe("target_branch") is not None:
        return PullRequestChange.UPDATED
    draft, labels = changes.maybe("draft"), changes.maybe("labels")
    if draft is not None and draft.value.get("previous") is True and draft.value.get("current") is False:
        return PullRequestChange.READY
    if labels is not None and set(_titles(labels, "current")) - set(_titles(labels, "previous")):
        return PullRequestChange.LABELED
    return None


def _titles(labels: Payload, when: str) -> tuple[str, ...]:
    return labels_of(labels.objects(when), "title")


def _pusher(request: Payload, user: Payload | None) -> dict[str, Any]:
    """The user of an update that has other commits pushed them."""
    number = id_of(user)
    if user is None or number is None or request.text("action") != "update" or not request.value.get("oldrev"):
        return {}
    return {"pusher": user.text("username"), "pusher_id": number}


_SYSTEM: dict[str, Parser] = {"push": _push, "tag_push": _push, "merge_request": _merge_request}


def _system(payload: Payload) -> WebhookEvent:
    """A hook of the whole server (`System Hook`): its deliveries have the content of a project's, and name their kind
    in the body alone."""
    kind = payload.text("object_kind") or payload.text("event_name")
    parser = _SYSTEM.get(kind)
    return parser(payload) if parser is not None else Ignored(f"system hook {kind}"[:MAX_WHAT])


PARSERS: dict[str, Parser] = {
    "System Hook": _system,
    "Push Hook": _push,
    "Tag Push Hook": _push,
    "Merge Request Hook": _merge_request,
}
"""By `X-Gitlab-Event`."""
