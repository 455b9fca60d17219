"""What a forge can tell, whichever it is: frozen events that every parser of this package makes.

Texts are bounded and have no control characters; hashes are hexadecimal; branches and tags are short names.
"""

from enum import StrEnum

from danube_pkg.kit.records import Record


class WebhookRepository(Record):
    """A repository by all the names that its forge has for it: URLs of https, ssh and its page. name: `owner/name`."""

    name: str
    urls: tuple[str, ...]


class Push(Record, tag_field="kind", tag="Push"):
    """New commits on a branch. commit_sha: the branch's head now; message, subject (its first line), author: that commit's.

    changed: paths that the commits added, changed or removed; None where the forge did not tell all of them.
    """

    repository: WebhookRepository
    branch: str
    commit_sha: str
    actor: str
    message: str = ""
    changed: tuple[str, ...] | None = None
    subject: str = ""
    author: str = ""


class TagPush(Record, tag_field="kind", tag="TagPush"):
    """A tag that was made or moved; commit_sha is the commit that it leads to."""

    repository: WebhookRepository
    tag: str
    commit_sha: str
    actor: str
    message: str = ""
    subject: str = ""
    author: str = ""


class BranchDeleted(Record, tag_field="kind", tag="BranchDeleted"):
    """A branch is gone; nothing starts."""

    repository: WebhookRepository
    branch: str
    actor: str


class PullRequestChange(StrEnum):
    """What happened to a pull or merge request, as far as its code is concerned."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


class PullRequest(Record, tag_field="kind", tag="PullRequest"):
    """A pull request of GitHub, Gitea and Forgejo, a merge request of GitLab.

    commit_sha: the head of what is proposed; base_sha: what the target branch was at, "" where the forge does not say.
    ref: by which the target's repository knows the head. fork: whether the proposed code lies in another repository, of
    people who may not write to this one. message, subject, author: of the head's commit, where the forge tells.
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


class Ping(Record, tag_field="kind", tag="Ping"):
    """The forge tries whether its webhook arrives."""


class Ignored(Record, tag_field="kind", tag="Ignored"):
    """An authentic delivery of which nothing follows. what: the forge's word for it."""

    what: str


WebhookEvent = Push | TagPush | BranchDeleted | PullRequest | Ping | Ignored
