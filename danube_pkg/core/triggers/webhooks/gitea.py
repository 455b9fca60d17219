"""Gitea's webhooks, whose format Forgejo shares.

https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/
"""

from danube_pkg.core.triggers.webhooks.commits import (
    Head,
    Parser,
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
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none
from danube_pkg.core.triggers.webhooks.proposals import claims_own_branch, id_of

_CHANGES = {
    "opened": PullRequestChange.OPENED,
    "reopened": PullRequestChange.OPENED,
    "synchronized": PullRequestChange.UPDATED,
    "closed": PullRequestChange.CLOSED,
}


def _repository(payload: Payload) -> WebhookRepository:
    return repository_names(payload, "full_name", ("clone_url", "ssh_url", "html_url"))


def _sender(payload: Payload) -> str:
    sender = payload.maybe("sender")
    return (sender.text("login") or sender.text("username")) if sender is not None else ""


def _push(payload: Payload) -> WebhookEvent:
    commit = payload.maybe("head_commit")
    head = head_of(commit) if commit is not None else Head(payload.hash("after"))
    total = payload.number("total_commits") if payload.value.get("total_commits") is not None else None
    return push_event(payload, _repository(payload.object("repository")), _sender(payload), head, total)


def _pull_request(payload: Payload) -> WebhookEvent:
    action = payload.name("action")
    if action not in _CHANGES:
        return Ignored(f"pull_request {action}"[:100])
    repository, pull = _repository(payload.object("repository")), payload.object("pull_request")
    head, base, number = pull.object("head"), pull.object("base"), payload.number("number")
    source = head.maybe("repo")
    source_name = source.name("full_name") if source is not None else ""
    base_sha = base.hash("sha") if base.value.get("sha") else ""
    return PullRequest(
        repository,
        number,
        _CHANGES[action],
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
    )


def _claims_own_branch(payload: Payload, pull: Payload, head: Payload) -> bool:
    # Newer releases name the flow beside the head: 0 is a branch, 1 is AGit.
    ids = [id_of(payload.maybe("repository")), id_of(pull.object("base").maybe("repo")), id_of(head.maybe("repo"))]
    ids += [id_of(side, "repo_id") for side in (pull.object("base"), head) if "repo_id" in side.value]
    return pull.value.get("flow") in (None, 0) and claims_own_branch(ids, head.name("ref"), head)


PARSERS: dict[str, Parser] = {"push": _push, "pull_request": _pull_request}
"""By `X-Gitea-Event` and `X-Forgejo-Event`. A test delivery is a push of the default branch's present head."""
