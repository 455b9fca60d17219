"""The branches and tags of a repository, which are compared with what webhooks announced."""

import pytest

from danube_pkg.adapters.git import refs
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.triggers.heads import RefHead
from tests.support.git_servers import HttpServer, ServedRepository, SshServer, git


def make_refs(app: ServedRepository) -> tuple[str, str, str]:
    """Makes a branch, two kinds of tags and another ref; the last commit, the first one, the tag object."""
    commit, first = git(app.work, "rev-parse", "HEAD"), git(app.work, "rev-parse", "HEAD~1")
    git(app.bare, "branch", "feature/x", first)
    git(app.bare, "tag", "light", first)
    git(app.bare, "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "v1", "v1", commit)
    git(app.bare, "update-ref", "refs/pull/7/head", first)
    return commit, first, git(app.bare, "rev-parse", "v1")


@pytest.mark.parametrize("kind", ["ssh", "http"])
async def test_all_branches_and_tags_are_read_by_one_request(
    sources: GitSources, ssh: SshServer, http: HttpServer, app: ServedRepository, kind: str
) -> None:
    commit, first, tag = make_refs(app)
    found = await sources.list_heads(ssh.url(app) if kind == "ssh" else http.url(app))
    assert sorted(found, key=lambda one: one.ref) == [
        RefHead("refs/heads/feature/x", first, first),
        RefHead("refs/heads/main", commit, commit),
        RefHead("refs/tags/light", first, first),
        RefHead("refs/tags/v1", tag, commit),
    ]


async def test_names_that_cannot_be_stored_are_left_out(
    sources: GitSources, http: HttpServer, app: ServedRepository
) -> None:
    commit = git(app.work, "rev-parse", "HEAD")
    packed = app.bare / "packed-refs"
    packed.write_bytes(packed.read_bytes() if packed.exists() else b"# pack-refs with: peeled fully-peeled sorted \n")
    with packed.open("ab") as file:
        file.write(commit.encode() + b" refs/tags/caf\xe9\n" + commit.encode() + b" refs/tags/" + b"x" * 600 + b"\n")
    assert [one.ref for one in await sources.list_heads(http.url(app))] == ["refs/heads/main"]


async def test_a_repository_that_cannot_be_read_is_refused(sources: GitSources, http: HttpServer) -> None:
    with pytest.raises(Permanent, match="none"):
        await sources.list_heads(f"http://127.0.0.1:{http.port}/none.git")


async def test_a_repository_with_too_many_refs_is_refused(
    monkeypatch: pytest.MonkeyPatch, http: HttpServer, app: ServedRepository, sources: GitSources
) -> None:
    monkeypatch.setattr(refs, "MAX_HEADS", 0)
    remote = await sources._remote_settings(http.url(app))
    with pytest.raises(TooLarge, match="1 branches and tags, and at most 0"):
        refs.heads(http.url(app), remote)
