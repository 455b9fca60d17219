"""Which code: a revision of an application repository, as a trigger pins it down."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Revision:
    """`ref` is what was asked for or the default; `branch` or `tag` is its short name where it is one.

    commit_sha: 40 hexadecimal digits; empty for a directory that is no Git repository.
    """

    commit_sha: str
    ref: str = ""
    branch: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a commit. size_bytes: its real size; data: at most as much as was asked for. is_link: data is a target."""

    name: str
    data: bytes = field(repr=False)
    size_bytes: int
    is_link: bool = False
