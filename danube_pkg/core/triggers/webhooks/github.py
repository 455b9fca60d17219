"""GitHub's webhooks: https://docs.github.com/en/webhooks/webhook-events-and-payloads"""

from danube_pkg.core.triggers.webhooks.commits import (
    Head,
    Parser,
    head_of,
    push_event,
    repository_names,
)
from danube_pkg.core.triggers.webhooks.events import (
    Ignored,
    Ping,
    PullRequest,
    PullRequestChange,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none
from danube_pkg.core.triggers.webhooks.proposals import claims_own_branch, id_of

MAX_COMMITS = 2048
"""GitHub lists at most so many commits of one push, and does not report how many there were."""

_CHANGES = {
    "opened": PullRequestChange.OPENED,
    "reopened": PullRequestChange.OPENED,
    "synchronize": PullRequestChange.UPDATED,
    "closed": PullRequestChange.CLOSED,
}


def _repository(payload: Payload) -> WebhookRepository:
    return repository_names(payload, "full_name", ("clone_url", "ssh_url", "html_url", "git_url"))


def _sender(payload: Payload) -> str:
    sender = payload.maybe("sender")
    return sender.text("login") if sender is not None else ""


def _push(payload: Payload) -> WebhookEvent:
    commit = payload.maybe("head_commit")
    head = head_of(commit) if commit is not None else Head(payload.hash("after"))
    listed = sum(1 for _ in payload.objects("commits"))
    total = None if listed < MAX_COMMITS else listed + 1
    return push_event(payload, _repository(payload.object("repository")), _sender(payload), head, total)


def _pull_request(payload: Payload) -> WebhookEvent:
    action = payload.name("action")
    if action not in _CHANGES:
        return Ignored(f"pull_request {action}"[:100])
    repository, pull = _repository(payload.object("repository")), payload.object("pull_request")
    head, base = pull.object("head"), pull.object("base")
    # A fork that was deleted meanwhile has no repository any more: its code is untrusted all the same.
    source = head.maybe("repo")
    source_name = source.name("full_name") if source is not None else ""
    number, author = payload.number("number"), pull.maybe("user")
    base_sha = base.hash("sha")
    ids = [id_of(payload.maybe("repository")), id_of(base.maybe("repo")), id_of(source)]
    return PullRequest(
        repository,
        number,
        _CHANGES[action],
        head.hash("sha"),
        f"refs/pull/{number}/head",
        head.name("ref"),
        base.name("ref"),
        fork=not claims_own_branch(ids, head.name("ref"), head),
        actor=_sender(payload) or (author.text("login") if author is not None else ""),
        base_sha="" if is_none(base_sha) else base_sha,
        source_repository=source_name,
        title=pull.text("title"),
        url=pull.url("html_url"),
    )


def _ping(payload: Payload) -> WebhookEvent:
    return Ping()


PARSERS: dict[str, Parser] = {"push": _push, "pull_request": _pull_request, "ping": _ping}
"""By `X-GitHub-Event`. `create` and `delete` contain less than the `push` that GitHub sends beside them."""
