"""GitHub's webhooks: https://docs.github.com/en/webhooks/webhook-events-and-payloads"""

from danube_pkg.core.triggers.webhooks.commits import (
    Parser,
    head_commit,
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
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none, labels_of
from danube_pkg.core.triggers.webhooks.proposals import claims_own_branch, id_of

_CHANGES = {
    "opened": PullRequestChange.OPENED,
    "reopened": PullRequestChange.OPENED,
    "synchronize": PullRequestChange.UPDATED,
    "labeled": PullRequestChange.LABELED,
    "ready_for_review": PullRequestChange.READY,
    "closed": PullRequestChange.CLOSED,
}


def _repository(payload: Payload) -> WebhookRepository:
    return repository_names(payload, "full_name", ("clone_url", "ssh_url", "html_url", "git_url"))


def _sender(payload: Payload) -> str:
    sender = payload.maybe("sender")
    return sender.text("login") if sender is not None else ""


def _push(payload: Payload) -> WebhookEvent:
    head = head_commit(payload, payload.hash("after"))
    return push_event(payload, _repository(payload.object("repository")), _sender(payload), head)


def _pull_request(payload: Payload) -> WebhookEvent:
    action = payload.name("action")
    change = _CHANGES.get(action)
    if action == "edited" and _is_retargeted(payload):
        change = PullRequestChange.UPDATED
    if change is None:
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
        change,
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
        version=pull.text("updated_at"),
        labels=labels_of(pull.objects("labels"), "name"),
        draft=pull.flag("draft"),
        pusher=_sender(payload) if action == "synchronize" and payload.value.get("after") == head.hash("sha") else "",
    )


def _is_retargeted(payload: Payload) -> bool:
    changes = payload.maybe("changes")
    return changes is not None and changes.maybe("base") is not None


def _ping(payload: Payload) -> WebhookEvent:
    return Ping()


PARSERS: dict[str, Parser] = {"push": _push, "pull_request": _pull_request, "ping": _ping}
"""By `X-GitHub-Event`. `create` and `delete` contain less than the `push` that GitHub sends beside them."""
