"""The events that webhook deliveries report, the same for all forges: the parsers of this package return them.

Texts are bounded and have no control characters; hashes are hexadecimal; branches and tags are short names. The inbox
stores events as JSON with the class's tag as `kind`: a tag may never change.
"""

from enum import StrEnum

from danube_pkg.kit.records import Record


class WebhookRepository(Record):
    """A repository. name: `owner/name` as the forge has it. urls: all of its URLs: https, ssh, its page. id: the
    forge's own, which a renamed repository keeps; 0 where it is not known."""

    name: str
    urls: tuple[str, ...]
    id: int = 0


class Push(Record, tag_field="kind", tag="Push"):
    """New commits on a branch. commit_sha: the branch's new head; message, subject (its first line) and author are its
    own, "" where the forge does not report them. before: the head before the push, all zeros for a new branch, "" where
    it is not known.
    """

    repository: WebhookRepository
    branch: str
    commit_sha: str
    actor: str
    message: str = ""
    subject: str = ""
    author: str = ""
    before: str = ""


class TagPush(Record, tag_field="kind", tag="TagPush"):
    """A tag that was created or moved. commit_sha: the commit that it points to. before, after: the objects that the
    tag named before and names now; before is all zeros for a new tag, "" where it is not known."""

    repository: WebhookRepository
    tag: str
    commit_sha: str
    actor: str
    message: str = ""
    subject: str = ""
    author: str = ""
    before: str = ""
    after: str = ""


class BranchDeleted(Record, tag_field="kind", tag="BranchDeleted"):
    """A branch was deleted. It starts no job. before: its last head, "" where it is not known."""

    repository: WebhookRepository
    branch: str
    actor: str
    before: str = ""


class TagDeleted(Record, tag_field="kind", tag="TagDeleted"):
    """A tag was deleted. It starts no job. before: the object that it named, "" where it is not known."""

    repository: WebhookRepository
    tag: str
    actor: str
    before: str = ""


class PullRequestChange(StrEnum):
    """What happened to a pull or merge request, as far as its commits are concerned. UPDATED: it has other commits, or
    another target branch. LABELED: a label was added. READY: it was a draft until now."""

    OPENED = "opened"
    UPDATED = "updated"
    LABELED = "labeled"
    READY = "ready"
    CLOSED = "closed"


class PullRequest(Record, tag_field="kind", tag="PullRequest"):
    """A pull request of GitHub, Gitea and Forgejo, a merge request of GitLab.

    commit_sha: its head; base_sha: the target branch's head, "" where the forge does not report it. ref: the ref of the
    head in the target's repository. fork: the payload does not claim that the head is a branch of the repository. The
    claim alone proves nothing: Git has to confirm it before the code is trusted. message, subject, author: the head
    commit's, "" where the forge does not report them. version: when the forge last changed the request, in its own
    words. labels: those that it has, at most `payload.MAX_LABELS`. pusher, pusher_id: who pushed this very head, by
    name and number; "" and 0 where the payload does not say that: the author of a request and the user who opens it
    need not be the one.
    """

    repository: WebhookRepository
    number: int
    change: PullRequestChange
    commit_sha: str
    ref: str
    source_branch: str
    target_branch: str
    fork: bool
    actor: str
    base_sha: str = ""
    source_repository: str = ""
    title: str = ""
    message: str = ""
    url: str = ""
    subject: str = ""
    author: str = ""
    version: str = ""
    pusher: str = ""
    pusher_id: int = 0
    labels: tuple[str, ...] = ()
    draft: bool = False


class Ping(Record, tag_field="kind", tag="Ping"):
    """The forge tests whether its webhook arrives."""


class Ignored(Record, tag_field="kind", tag="Ignored"):
    """A delivery with a valid signature whose event type is ignored. what: the forge's name of the event."""

    what: str


class UnreadableEvent(Record, tag_field="kind", tag="Unreadable"):
    """A delivery with a valid signature whose content could not be parsed. what: the forge's name of the event; why:
    one sentence; repository: its full name, "" where that is not readable either."""

    what: str
    why: str
    repository: str = ""


WebhookEvent = Push | TagPush | BranchDeleted | TagDeleted | PullRequest | Ping | Ignored | UnreadableEvent
