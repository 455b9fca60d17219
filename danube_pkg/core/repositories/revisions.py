"""Revisions of a repository, files of a commit, and the credential that reads them.

It imports little on purpose: each process that runs Git starts with it.
"""

from enum import StrEnum
from typing import Annotated

from danube_pkg.kit.records import HIDDEN, Record

ANONYMOUS = "no login"

MAX_MESSAGE = 200
"""Characters of a commit message's first line: Git recommends 50, and lists show one line."""

MAX_AUTHOR = 100


def first_line(text: str, most: int) -> str:
    """The first line that is not empty, with a space for each unprintable character, cut to `most` characters."""
    line = next((one for one in text.splitlines() if one.strip()), "").strip()
    line = "".join(letter if letter.isprintable() else " " for letter in line[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


class Revision(Record):
    """A commit with the ref that led to it. ref: the requested or the default one. branch, tag: its short name.

    commit_sha: 40 hexadecimal digits; "" for a directory without Git. commit_message, commit_author: the first line of
    the message and the author's name, bounded; "" where they are only known after the fetch.
    """

    commit_sha: str
    ref: str = ""
    branch: str = ""
    tag: str = ""
    commit_message: str = ""
    commit_author: str = ""


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
