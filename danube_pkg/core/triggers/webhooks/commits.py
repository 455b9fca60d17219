"""The parts of push payloads that all forges share: the ref, the head commit, and the files that commits touched."""

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
from danube_pkg.core.triggers.webhooks.proposals import id_of
from danube_pkg.kit.records import Record

MAX_CHANGED = 10_000
"""Paths that are kept of one push; for a larger push every filter of paths counts as met."""

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


def push_event(
    payload: Payload, repository: WebhookRepository, actor: str, head: Head, total_commits: int | None
) -> WebhookEvent:
    """The event of a push payload, by its `ref`, `before` and `after`: a push, a tag, or a deleted branch or tag.

    head: the commit to check out, which for an annotated tag is not `after`. total_commits: the number of pushed
    commits where the forge may list fewer; None where it lists all.
    """
    ref, after = payload.ref("ref"), payload.hash("after")
    if ref.startswith(_TAGS) and (tag := ref.removeprefix(_TAGS)):
        if is_none(after):
            return Ignored("tag deleted")
        return TagPush(repository, tag, head.commit_sha, actor, head.message, head.subject, head.author)
    branch = ref.removeprefix(_BRANCHES)
    if not ref.startswith(_BRANCHES) or not branch:
        return Ignored(f"push to {ref}"[:MAX_WHAT])
    if is_none(after):
        return BranchDeleted(repository, branch, actor)
    changed = changed_paths(payload, total_commits)
    return Push(
        repository, branch, head.commit_sha, actor, head.message, changed, subject=head.subject, author=head.author
    )


def changed_paths(payload: Payload, total_commits: int | None) -> tuple[str, ...] | None:
    """The sorted paths that the listed commits touched; None where not all commits are listed.

    A new branch may contain commits that were pushed before, so its changed paths are not known either.
    """
    commits = list(payload.objects("commits"))
    listed_all = total_commits is None or total_commits <= len(commits)
    if not commits or not listed_all or is_none(payload.hash("before")):
        return None
    found = {path for commit in commits for part in ("added", "modified", "removed") for path in commit.names(part)}
    return tuple(sorted(found)) if len(found) <= MAX_CHANGED else None


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
