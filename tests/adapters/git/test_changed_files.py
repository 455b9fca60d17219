"""Which files a proposal changes, asked of real Git servers."""

from danube_pkg.adapters.git.sources import GitSources
from tests.support.git_servers import HttpServer, ServedRepository, git


def proposal(app: ServedRepository) -> str:
    """A branch that changes, adds and removes a file each, as a pull request's head; main goes on meanwhile."""
    app.commit({"a": "1", "dir/b": "1", "gone": "1", "same": "1"})
    git(app.work, "checkout", "-q", "-b", "topic")
    sha = app.commit({"a": "2", "dir/new": "1", "gone": None})
    git(app.work, "push", "-q", "origin", "HEAD:refs/pull/7/head")
    git(app.work, "checkout", "-q", "main")
    app.commit({"later": "1"})
    return sha


async def test_of_a_repository_elsewhere(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = proposal(app)
    changed = await sources.changed_files(http.url(app), "main", sha)
    assert changed == ["a", "dir/new", "gone", "later"], "what main got meanwhile counts as well, never too little"


async def test_of_a_repository_of_this_machine(sources: GitSources, app: ServedRepository) -> None:
    sha = proposal(app)
    assert await sources.changed_files(str(app.bare), "main", sha) == ["a", "dir/new", "gone", "later"]


async def test_of_the_branch_itself_nothing(sources: GitSources, http: HttpServer, app: ServedRepository) -> None:
    sha = app.commit({"a": "1"})
    assert await sources.changed_files(http.url(app), "main", sha) == []
