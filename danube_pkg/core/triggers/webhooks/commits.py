"""What all forges say alike of pushed commits: which ref, and which files they touched."""

from collections.abc import Callable, Sequence

from danube_pkg.core.repositories.revisions import MAX_AUTHOR, MAX_MESSAGE
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Push,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.core.triggers.webhooks.payload import Payload, is_none, refusal
from danube_pkg.kit.records import Record

MAX_CHANGED = 10_000
"""Paths of one push that are kept; beyond it every filter counts as met."""

_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"


class Head(Record):
    """The commit that a push led to, as the forge describes it. subject: its message's first line."""

    commit_sha: str
    message: str = ""
    subject: str = ""
    author: str = ""


def head_of(commit: Payload) -> Head:
    """A commit of the document."""
    author = commit.maybe("author")
    return Head(
        commit.hash("id"),
        commit.text("message"),
        commit.line("message", MAX_MESSAGE),
        author.line("name", MAX_AUTHOR) if author is not None else "",
    )


def push_event(
    payload: Payload, repository: WebhookRepository, actor: str, head: Head, total_commits: int | None
) -> WebhookEvent:
    """A push, a tag, or the end of a branch, by its `ref`, `before` and `after`.

    head: what a checkout has, which for an annotated tag is not `after`. total_commits: how many there were where
    the forge may list fewer; None where it lists all.
    """
    ref, after = payload.name("ref"), payload.hash("after")
    if ref.startswith(_TAGS) and (tag := ref.removeprefix(_TAGS)):
        if is_none(after):
            return Ignored("tag deleted")
        return TagPush(repository, tag, head.commit_sha, actor, head.message, head.subject, head.author)
    branch = ref.removeprefix(_BRANCHES)
    if not ref.startswith(_BRANCHES) or not branch:
        raise refusal(f"ref must name a branch ({_BRANCHES}…) or a tag ({_TAGS}…)")
    if is_none(after):
        return BranchDeleted(repository, branch, actor)
    changed = changed_paths(payload, total_commits)
    return Push(
        repository, branch, head.commit_sha, actor, head.message, changed, subject=head.subject, author=head.author
    )


def changed_paths(payload: Payload, total_commits: int | None) -> tuple[str, ...] | None:
    """Every path that the listed commits touched, each once, sorted; None where not all commits are listed.

    A branch that is new may bring commits that were pushed before: what it changes is not known.
    """
    commits = list(payload.objects("commits"))
    listed_all = total_commits is None or total_commits <= len(commits)
    if not commits or not listed_all or is_none(payload.hash("before")):
        return None
    found = {path for commit in commits for part in ("added", "modified", "removed") for path in commit.names(part)}
    return tuple(sorted(found)) if len(found) <= MAX_CHANGED else None


def repository_names(payload: Payload, name: str, urls: Sequence[str]) -> WebhookRepository:
    """A repository of the document, by its full name and those of its addresses that are there."""
    found = WebhookRepository(payload.name(name), tuple(dict.fromkeys(filter(None, map(payload.url, urls)))))
    if not found.urls:
        raise refusal(f"{payload.path} has none of {', '.join(urls)}")
    return found


Parser = Callable[[Payload], WebhookEvent]
