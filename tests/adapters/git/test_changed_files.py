"""The files that a pull request or a push changes, and messages of commits, read from real Git repositories."""

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.errors import PlatformError
from tests.support.git_servers import HttpServer, ServedRepository, git


def proposal(app: ServedRepository) -> str:
    """A pull request's head that changes, adds and removes a file each; main gets another commit meanwhile."""
    app.commit({"a": "1", "dir/b": "1", "gone": "1", "same": "1"})
    git(app.work, "checkout", "-q", "-b", "topic")
    sha = app.commit({"a": "2", "dir/new": "1", "gone": None})
    git(app.work, "push", "-q", "origin", "HEAD:refs/pull/7/head")
    git(app.work, "checkout", "-q", "main")
    app.commit({"later": "1"})
    return sha


async def test_a_remote_repository(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = proposal(app)
    changed = await sources.changed_files(http.url(app), "main", sha)
    assert changed == ["a", "dir/new", "gone", "later"], "main's own commit counts as well"


async def test_a_local_repository(sources: GitSources, app: ServedRepository) -> None:
    sha = proposal(app)
    assert await sources.changed_files(str(app.bare), "main", sha) == ["a", "dir/new", "gone", "later"]


async def test_the_branch_itself_has_no_changes(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = app.commit({"a": "1"})
    assert await sources.changed_files(http.url(app), "main", sha) == []


async def test_a_forced_push_changes_what_it_dropped(
    sources: GitSources, http: HttpServer, app: ServedRepository
) -> None:
    first = app.commit({"docs": "1", "api/f": "1"})
    before = app.commit({"api/f": "2"})
    git(app.work, "reset", "-q", "--hard", first)
    (app.work / "docs").write_text("2")
    git(app.work, "commit", "-q", "-a", "-m", "docs")
    after = app.push("--force")
    for repository in (http.url(app), str(app.bare)):
        assert await sources.changed_between(repository, before, after) == ["api/f", "docs"]


async def test_a_commits_whole_message_is_read(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = app.commit({"a": "1"}, message="docs\n\nwhy\n\n[skip ci]")
    for repository in (http.url(app), str(app.bare)):
        found = await sources.commit_text(repository, sha)
        assert found.message == "docs\n\nwhy\n\n[skip ci]\n"


async def test_a_commit_that_is_gone_is_an_error(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = app.commit({"a": "1"})
    for repository in (http.url(app), str(app.bare)):
        with pytest.raises(PlatformError):
            await sources.changed_between(repository, "1" * 40, sha)
