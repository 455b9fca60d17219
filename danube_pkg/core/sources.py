"""Which code: a revision of an application repository, as a trigger pins it down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """`ref` is what was asked for or the default; `branch` or `tag` is its short name where it is one.

    commit_sha: 40 hexadecimal digits; empty for a directory that is no Git repository.
    """

    commit_sha: str
    ref: str = ""
    branch: str = ""
    tag: str = ""
