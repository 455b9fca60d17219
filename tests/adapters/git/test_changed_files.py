"""The files that a pull request changes, read from real Git repositories."""

from danube_pkg.adapters.git.sources import GitSources
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
