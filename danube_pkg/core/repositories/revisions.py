"""Revisions of a repository, files of a commit, and the credential that reads them.

It imports little on purpose: each process that runs Git starts with it.
"""

import json
from enum import StrEnum
from typing import Annotated, Any

from danube_pkg.kit.records import HIDDEN, Record, fields, replace

ANONYMOUS = "no login"

MAX_MESSAGE = 200
"""Characters of a commit message's first line: Git recommends 50, and lists show one line."""

MAX_AUTHOR = 100

MAX_TEXT = 4000
"""Characters of a title or of a whole message, which is cut to them: it is searched for `[skip ci]`."""


def first_line(text: str, most: int) -> str:
    """The first line that is not empty, with a space for each unprintable character, cut to `most` characters."""
    line = next((one for one in text.splitlines() if one.strip()), "").strip()
    line = "".join(letter if letter.isprintable() else " " for letter in line[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


class SubmoduleCommit(Record):
    """A submodule that was read with a commit. path: in the job's tree; repository: its URL, without a login."""

    path: str
    repository: str
    commit_sha: str


class Revision(Record):
    """A commit with the ref that led to it. `branch` or `tag` is the ref's short name where it is one.

    commit_sha: 40 hexadecimal digits; "" where there is no commit: it is not resolved yet, or the repository is a
    directory without Git. commit_message, commit_author: the commit's first line and its author, bounded; "" until they
    are known. Text of untrusted origin. other_ref: the tag of the same name, which is not built; "" where the ref names
    one thing. submodules: those that were read with it, known once the source was opened.
    """

    commit_sha: str = ""
    ref: str = ""
    branch: str = ""
    tag: str = ""
    commit_message: str = ""
    commit_author: str = ""
    other_ref: str = ""
    submodules: tuple[SubmoduleCommit, ...] = ()

    @property
    def name(self) -> str:
        """The branch, the tag, or the ref; "" where none is known."""
        return self.branch or self.tag or self.ref

    @property
    def full_ref(self) -> str:
        """The ref in full where it is a branch or a tag: a push names it so, a manual start by any of its names."""
        if self.branch:
            return f"refs/heads/{self.branch}"
        return f"refs/tags/{self.tag}" if self.tag else self.ref

    def described(self, commit_message: str, commit_author: str) -> "Revision":
        """With the commit's message and author; itself where it has a message, or neither is given."""
        if self.commit_message or not (commit_message or commit_author):
            return self
        return replace(self, commit_message=commit_message, commit_author=commit_author)


def named_by(ref: str) -> Revision:
    """What a ref says before its repository is asked: a branch or a tag by its full name; a short one may be either."""
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
    tag = ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else ""
    return Revision(ref=ref, branch=branch, tag=tag)


class History(Record):
    """How much history a job's `.git` has beside its commit.

    depth: of commits, the job's own being the first; 0: all. tags: those of these commits. branch: a further branch, as
    `origin/BRANCH`, with its history: the target of a pull request.
    """

    depth: int
    tags: bool = False
    branch: str = ""


def with_revision(text: str) -> str:
    """The stored JSON of a record that holds a `revision`. Rows of older versions have its fields beside the others.

    Raises ValueError for text that is not JSON.
    """
    if '"revision":' in text:
        return text
    values: dict[str, Any] = json.loads(text)
    revision = {one.name: values.pop(one.name) for one in fields(Revision) if one.name in values}
    return json.dumps({**values, "revision": revision})


class SourceFile(Record):
    """One file of a commit. size_bytes: its whole size; data may be cut to a limit. is_link: data is the link's
    target."""

    name: str
    data: Annotated[bytes, HIDDEN]
    size_bytes: int
    is_link: bool = False


class Credential(Record):
    """The credential of one repository. A Git process gets it on standard input, and it is never stored.

    rule: the name that is shown to users. private_key: the key itself; private_key_path: a file on the server instead.
    """

    rule: str = ANONYMOUS
    username: str = ""
    password: Annotated[str, HIDDEN] = ""
    private_key: Annotated[str, HIDDEN] = ""
    private_key_path: str = ""


class GitProgram(StrEnum):
    """What fetches: dulwich, which needs nothing on the host, or the host's `git`, which is faster for large
    histories."""

    DULWICH = "dulwich"
    HOST = "host"
