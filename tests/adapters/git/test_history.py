"""The history of a job's `.git`: as deep as asked, beside `git clone --depth`; and nothing of other branches."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from dulwich.repo import Repo

from danube_pkg.adapters.git import history as rules
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.errors import TooLarge
from danube_pkg.core.repositories.revisions import GitProgram, History
from tests.adapters.git.remote import Known, unpacked
from tests.support.git_servers import HttpServer, ServedRepository, SshServer, git
from tests.support.git_worker import GIT_WORKER

WAYS = ("local", "http", "ssh", "host")
"""A directory; protocol 2; protocol 0; the machine's own git."""

Made = Mapping[str, str]


@pytest.fixture
def url(request: pytest.FixtureRequest, app: ServedRepository, http: HttpServer, ssh: SshServer) -> str:
    return {"local": str(app.bare), "ssh": ssh.url(app)}.get(request.param, http.url(app))


@pytest.fixture
def reader(
    request: pytest.FixtureRequest, url: str, sources: GitSources, known: Known, ssh: SshServer, tmp_path: Path
) -> GitSources:
    if request.node.callspec.params["url"] != "host":
        return sources
    settings = SourceSettings(git=GitProgram.HOST)
    return GitSources(tmp_path / "repos", known, worker=GIT_WORKER, settings=settings, known_hosts=[ssh.known_hosts])


@pytest.fixture
def made(app: ServedRepository) -> Made:
    """main: two commits, v1 (annotated), a merge of `side`, v2 (lightweight), five more; `secret` with a tag."""
    work = app.work
    git(work, "tag", "-a", "v1", "-m", "one")
    git(work, "checkout", "-q", "-b", "side")
    side = app.commit({"side.txt": "1\n"}, "on the side")
    git(work, "checkout", "-q", "main")
    app.commit({"main.txt": "1\n"}, "on main")
    git(work, "merge", "-q", "--no-edit", "side")
    git(work, "tag", "v2")
    for number in range(5):
        head = app.commit({"README": f"{number}\n"}, f"number {number}")
    git(work, "checkout", "-q", "-b", "secret")
    secret = app.commit({"password": "hunter2\n"}, "never for others")
    git(work, "tag", "-a", "of-secret", "-m", "x")
    git(work, "checkout", "-q", "main")
    git(work, "push", "-q", "--tags", "origin", "main", "secret", "side")
    return {"head": head, "secret": secret, "side": side}


@pytest.mark.parametrize("url", WAYS, indirect=True)
async def test_all_of_the_history_and_its_tags(
    reader: GitSources, url: str, made: Made, app: ServedRepository, tmp_path: Path
) -> None:
    await (await reader.open(url, made["secret"])).close()  # another job's: the mirror has more than this one may see
    source = await reader.open(url, made["head"], history=History(0, tags=True))
    copy = await unpacked(source, tmp_path / "copy")
    assert git(copy, "log", "--format=%H") == git(app.work, "log", "--format=%H", "main")
    assert git(copy, "describe", "--tags") == git(app.work, "describe", "--tags", "main")
    assert git(copy, "describe") == git(app.work, "describe", "main")
    assert git(copy, "tag").split() == ["v1", "v2"]
    assert (git(copy, "rev-parse", "--is-shallow-repository"), git(copy, "status", "--porcelain")) == ("false", "")
    assert git(copy, "fsck", "--full", "--strict") == ""
    everything = git(copy, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    assert made["secret"] not in everything
    assert git(app.work, "rev-parse", "secret:password") not in everything
    assert source.notices == []


@pytest.mark.parametrize(("url", "depth"), [("local", 6), ("http", 2), ("http", 7), ("ssh", 8)], indirect=["url"])
async def test_as_deep_as_a_clone_of_that_depth(
    reader: GitSources, url: str, made: Made, app: ServedRepository, tmp_path: Path, depth: int
) -> None:
    source = await reader.open(url, made["head"], history=History(depth, tags=True))
    copy = await unpacked(source, tmp_path / "copy")
    git(tmp_path, "clone", "-q", f"--depth={depth}", f"file://{app.bare}", "clone")
    for words in (("log", "--format=%H %P"), ("log", "-p", "--format=%H"), ("rev-parse", "--is-shallow-repository")):
        assert git(copy, *words) == git(tmp_path / "clone", *words)
    assert git(copy, "fsck", "--full") == ""


@pytest.mark.parametrize("url", ["http", "host"], indirect=True)
async def test_histories_of_several_depths_share_a_mirror(
    reader: GitSources, url: str, made: Made, app: ServedRepository, tmp_path: Path
) -> None:
    """In any order, with single commits in between: each job gets what it asks for."""
    commit = made["head"]
    for number, depth in enumerate((3, 0, 2)):
        copy = await unpacked(await reader.open(url, commit, history=History(depth)), tmp_path / str(number))
        count = ("rev-list", "--count", *([f"--max-count={depth}"] if depth else []), commit)
        assert git(copy, "rev-list", "--count", "HEAD") == git(app.work, *count), depth
        assert git(copy, "fsck", "--full") == ""
        await (await reader.open(url, app.commit({"README": f"again {number}\n"}))).close()
        commit = app.commit({"README": f"more {number}\n"})


@pytest.mark.parametrize("url", ["local", "http"], indirect=True)
async def test_a_request_can_be_compared_with_its_target(
    reader: GitSources, url: str, made: Made, app: ServedRepository, tmp_path: Path
) -> None:
    source = await reader.open(url, made["side"], history=History(0, branch="main"))
    copy = await unpacked(source, tmp_path / "copy")
    assert git(copy, "rev-parse", "origin/main") == made["head"]
    assert git(copy, "merge-base", "HEAD", "origin/main") == made["side"]
    assert git(copy, "for-each-ref", "--format=%(refname)") == "refs/remotes/origin/main"
    assert git(copy, "fsck", "--full") == ""
    source = await reader.open(url, made["side"], history=History(0, branch="gone"))
    copy = await unpacked(source, tmp_path / "without")
    assert git(copy, "for-each-ref") == ""


async def test_a_history_that_is_too_large_is_refused_with_what_to_write(
    sources: GitSources, made: Made, app: ServedRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = rules.GitHistory(0, {})

    monkeypatch.setattr(rules, "MAX_HISTORY_BYTES", 100)
    with Repo(str(app.bare)) as repo, (tmp_path / "pack").open("w+b") as file:
        with pytest.raises(TooLarge, match="history") as refused:
            rules.HistoryPack(repo.object_store, repository, repo.head(), file).write(frozenset())
        monkeypatch.setattr(rules, "MAX_HISTORY_OBJECTS", 5)
        with pytest.raises(TooLarge, match="more than 5 objects"):
            rules.commits_of(repo.object_store, [repo.head()], 0)
    assert "clone: {depth: 50}" in refused.value.hint
