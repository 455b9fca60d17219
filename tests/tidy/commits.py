"""The rule for commit messages: a short subject, and a body that says why."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_SUBJECT = 72
"""Characters: what `git log --oneline` and the forges show in one line."""

LAST_UNCHECKED = "2b7c1257ddc984864fe949590ac0acc812c78373"
"""Before it there was no rule."""


@dataclass(frozen=True)
class Commit:
    """A commit and its whole message."""

    sha: str
    message: str


def mistakes(commit: Commit) -> Iterator[str]:
    """What is wrong with a commit's message."""
    subject, _, rest = commit.message.strip().partition("\n")
    if len(subject) > MAX_SUBJECT:
        yield f"{commit.sha[:9]}: the subject has {len(subject)} characters, more than {MAX_SUBJECT}: {subject}"
    if not rest.strip():
        yield f"{commit.sha[:9]}: no body says why: {subject}"
    elif not rest.startswith("\n"):
        yield f"{commit.sha[:9]}: no empty line between subject and body: {subject}"


def commits_since(repository: Path, sha: str) -> list[Commit]:
    """Commits after that one, without merges; none where the history does not contain it, as in a shallow clone."""
    known = subprocess.run(["git", "merge-base", "--is-ancestor", sha, "HEAD"], cwd=repository, capture_output=True)
    if known.returncode != 0:
        return []
    words = ["git", "log", "--no-merges", "--format=%H%n%B%x00", f"{sha}..HEAD"]
    listed = subprocess.run(words, cwd=repository, check=True, capture_output=True, text=True).stdout
    pairs = [entry.strip().partition("\n") for entry in listed.split("\0") if entry.strip()]
    return [Commit(sha, message) for sha, _, message in pairs]
