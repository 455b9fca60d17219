"""Gitea's webhooks, whose format Forgejo shares.

https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/
"""

from danube_pkg.core.triggers.webhooks.commits import (
    Parser,
    head_commit,
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
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none, labels_of
from danube_pkg.core.triggers.webhooks.proposals import claims_own_branch, id_of

_CHANGES = {
    "opened": PullRequestChange.OPENED,
    "reopened": PullRequestChange.OPENED,
    "synchronized": PullRequestChange.UPDATED,
    "label_updated": PullRequestChange.LABELED,
    "closed": PullRequestChange.CLOSED,
}


_DRAFT_PREFIXES = ("WIP:", "[WIP]")
"""Gitea's and Forgejo's default of WORK_IN_PROGRESS_PREFIXES."""


def _repository(payload: Payload) -> WebhookRepository:
    return repository_names(payload, "full_name", ("clone_url", "ssh_url", "html_url"))


def _sender(payload: Payload) -> str:
    sender = payload.maybe("sender")
    return (sender.text("login") or sender.text("username")) if sender is not None else ""


def _push(payload: Payload) -> WebhookEvent:
    head = head_commit(payload, payload.hash("after"))
    return push_event(payload, _repository(payload.object("repository")), _sender(payload), head)


def _pull_request(payload: Payload) -> WebhookEvent:
    action = payload.name("action")
    change = _CHANGES.get(action)
    pull = payload.object("pull_request")
    if action == "edited" and _is_retargeted(payload):
        change = PullRequestChange.UPDATED
    elif action == "edited" and not _is_draft(pull) and _was_draft(payload):
        change = PullRequestChange.READY
    if change is None:
        return Ignored(f"pull_request {action}"[:100])
    repository = _repository(payload.object("repository"))
    head, base, number = pull.object("head"), pull.object("base"), payload.number("number")
    source = head.maybe("repo")
    source_name = source.name("full_name") if source is not None else ""
    base_sha = base.hash("sha") if base.value.get("sha") else ""
    return PullRequest(
        repository,
        number,
        change,
        head.hash("sha"),
        f"refs/pull/{number}/head",
        head.name("ref"),
        base.name("ref"),
        fork=not _claims_own_branch(payload, pull, head),
        actor=_sender(payload),
        base_sha="" if is_none(base_sha) else base_sha,
        source_repository=source_name,
        title=pull.text("title"),
        url=pull.url("html_url"),
        version=pull.text("updated_at"),
        labels=labels_of(pull.objects("labels"), "name"),
        draft=_is_draft(pull),
        pusher=_sender(payload) if action == "synchronized" else "",
    )


def _is_retargeted(payload: Payload) -> bool:
    changes = payload.maybe("changes")
    return changes is not None and changes.maybe("ref") is not None


def _is_draft(pull: Payload) -> bool:
    """Older releases do not report it: a draft is one by the prefix of its title."""
    return pull.flag("draft") or _has_prefix(pull.text("title"))


def _was_draft(payload: Payload) -> bool:
    changes = payload.maybe("changes")
    title = changes.maybe("title") if changes is not None else None
    return title is not None and _has_prefix(title.text("from"))


def _has_prefix(title: str) -> bool:
    return title.upper().startswith(_DRAFT_PREFIXES)


def _claims_own_branch(payload: Payload, pull: Payload, head: Payload) -> bool:
    # Newer releases name the flow beside the head: 0 is a branch, 1 is AGit.
    ids = [id_of(payload.maybe("repository")), id_of(pull.object("base").maybe("repo")), id_of(head.maybe("repo"))]
    ids += [id_of(side, "repo_id") for side in (pull.object("base"), head) if "repo_id" in side.value]
    return pull.value.get("flow") in (None, 0) and claims_own_branch(ids, head.name("ref"), head)


PARSERS: dict[str, Parser] = {"push": _push, "pull_request": _pull_request}
"""By `X-Gitea-Event` and `X-Forgejo-Event`. A test delivery is a push of the default branch's present head."""
