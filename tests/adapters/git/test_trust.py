"""Which requests a real Git repository confirms: the head of a branch, and no other ref that holds the commit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.store import SqliteInbox
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange, WebhookRepository
from danube_pkg.services.triggers.trust import ProposalTrust
from tests.support.databases import open_new_database
from tests.support.git_servers import HttpServer, ServedRepository, git


@pytest.fixture
async def trust(tmp_path: Path, sources: GitSources) -> AsyncIterator[ProposalTrust]:
    database = open_new_database(tmp_path / "danube.db")
    yield ProposalTrust(sources, SqliteInbox(database))
    await database.close()


def request(commit_sha: str, branch: str) -> PullRequest:
    repository = WebhookRepository("team/app", ("https://git.example.org/team/app",))
    return PullRequest(
        repository,
        7,
        PullRequestChange.OPENED,
        commit_sha,
        "refs/pull/7/head",
        branch,
        "main",
        fork=False,
        actor="bob",
    )


@pytest.mark.parametrize("place", ["remote", "local"])
async def test_only_the_head_of_a_branch_is_trusted(
    trust: ProposalTrust, http: HttpServer, app: ServedRepository, place: str
) -> None:
    app.commit({"a": "1"})
    git(app.work, "checkout", "-q", "-b", "topic")
    earlier, sha = app.commit({"a": "2"}), app.commit({"a": "3"})
    git(app.work, "checkout", "-q", "--detach")
    (app.work / "a").write_text("evil")
    git(app.work, "commit", "-q", "-a", "-m", "evil")
    evil = git(app.work, "rev-parse", "HEAD")
    for ref in ("refs/pull/7/head", "refs/for/main", "refs/tags/tagged", "refs/tags/refs/heads/named"):
        git(app.work, "push", "-q", "origin", f"HEAD:{ref}")
    repository = http.url(app) if place == "remote" else str(app.bare)
    assert await trust.why_untrusted(request(sha, "topic"), repository) == ""
    refused = [request(evil, "named"), request(evil, "refs/pull/7/head")]
    if place == "local":  # a worker process for each
        refused += [request(earlier, "topic"), request(evil, "tagged")]
    for each in refused:
        assert await trust.why_untrusted(each, repository), each.source_branch
    git(app.work, "push", "-q", "origin", ":refs/heads/topic")
    assert await trust.why_untrusted(request(sha, "topic"), repository) == "", "it was the head when it was last read"
