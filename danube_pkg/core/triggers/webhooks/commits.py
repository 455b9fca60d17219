"""The parts of push payloads that all forges share: the ref, the head commit, the repository."""

from collections.abc import Callable, Sequence

from danube_pkg.core.repositories.revisions import MAX_AUTHOR, MAX_MESSAGE
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Push,
    TagDeleted,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none, refusal
from danube_pkg.core.triggers.webhooks.proposals import id_of
from danube_pkg.kit.records import Record

MAX_WHAT = 100
"""Characters of the name of an ignored event."""

_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"


class Head(Record):
    """The head commit of a push as the forge describes it. subject: the first line of its message."""

    commit_sha: str
    message: str = ""
    subject: str = ""
    author: str = ""


def head_of(commit: Payload) -> Head:
    """The commit in an object of the payload."""
    author = commit.maybe("author")
    return Head(
        commit.hash("id"),
        commit.text("message"),
        commit.line("message", MAX_MESSAGE),
        author.line("name", MAX_AUTHOR) if author is not None else "",
    )


def head_commit(payload: Payload, commit_sha: str) -> Head:
    """What a push payload says about a commit: as `head_commit`, or else in the list `commits`."""
    commit = payload.maybe("head_commit")
    if commit is not None and commit.has_hash("id"):
        return head_of(commit)
    listed = (one for one in payload.objects("commits") if one.value.get("id") == commit_sha)
    return next(map(head_of, listed), Head(commit_sha))


def push_event(payload: Payload, repository: WebhookRepository, actor: str, head: Head) -> WebhookEvent:
    """The event of a push payload, by its `ref`, `before` and `after`: a push, a tag, or a deleted branch or tag.

    head: the commit to check out, which for an annotated tag is not `after`.
    """
    ref, after = payload.ref("ref"), payload.hash("after")
    before = payload.hash("before") if payload.has_hash("before") else ""
    if ref.startswith(_TAGS) and (tag := ref.removeprefix(_TAGS)):
        if is_none(after):
            return TagDeleted(repository, tag, actor, before)
        return TagPush(repository, tag, head.commit_sha, actor, head.message, head.subject, head.author, before, after)
    branch = ref.removeprefix(_BRANCHES)
    if not ref.startswith(_BRANCHES) or not branch:
        return Ignored(f"push to {ref}"[:MAX_WHAT])
    if is_none(after):
        return BranchDeleted(repository, branch, actor, before)
    head = head if head.commit_sha == after else Head(after)
    return Push(repository, branch, after, actor, head.message, head.subject, head.author, before)


def repository_names(payload: Payload, name: str, urls: Sequence[str]) -> WebhookRepository:
    """The repository in an object of the payload. name, urls: keys of its full name and of its URLs, which may be
    absent."""
    found = WebhookRepository(
        payload.name(name), tuple(dict.fromkeys(filter(None, map(payload.url, urls)))), id_of(payload) or 0
    )
    if not found.urls:
        raise refusal(f"{payload.path} has none of {', '.join(urls)}")
    return found


Parser = Callable[[Payload], WebhookEvent]
