"""Commit messages have a short subject and a body; the rule finds those that do not."""

import subprocess
from pathlib import Path

import pytest

from tests.tidy.commits import LAST_UNCHECKED, Commit, commits_since, mistakes
from tests.tidy.findings import assert_empty
from tests.tidy.tree import ROOT


def test_commit_messages_have_a_short_subject_and_a_body() -> None:
    commits = commits_since(ROOT, LAST_UNCHECKED)
    assert_empty(mistake for commit in commits for mistake in mistakes(commit))


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (f"{'x' * 72}\n\nBecause.\n", 0),
        (f"{'x' * 73}\n\nBecause.\n", 1),
        ("jobs: retry reads\n", 1),
        ("jobs: retry reads\n\n\n", 1),
        ("jobs: retry reads\nBecause.\n", 1),
    ],
)
def test_a_bad_message_is_found(message: str, found: int) -> None:
    assert len(list(mistakes(Commit("0" * 40, message)))) == found


def test_only_commits_after_the_given_one_are_listed_and_no_merges(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *settings, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--initial-branch", "main")
    git("commit", "--allow-empty", "--message", "first")
    first = git("rev-parse", "HEAD")
    git("switch", "--create", "side")
    git("commit", "--allow-empty", "--message", "side: second\n\nBecause.")
    git("switch", "main")
    git("commit", "--allow-empty", "--message", "main: third")
    git("merge", "--no-ff", "--message", "a merge", "side")
    assert {commit.message for commit in commits_since(tmp_path, first)} == {"side: second\n\nBecause.", "main: third"}
    assert commits_since(tmp_path, "1" * 40) == []
