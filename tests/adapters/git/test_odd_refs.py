"""Names and repositories that Git allows and few expect, read from real servers."""

import shutil
from pathlib import Path

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.log_lines import write_source
from tests.adapters.git.remote import unpacked
from tests.fakes.sources import FakeTree
from tests.services.stores import a_job
from tests.support.git_servers import HttpServer, ServedRepository, SshServer, git


@pytest.fixture(params=["local", "http", pytest.param("ssh", marks=pytest.mark.long)])
def url(request: pytest.FixtureRequest, app: ServedRepository, http: HttpServer, ssh: SshServer) -> str:
    return {"local": str(app.bare), "ssh": ssh.url(app)}.get(request.param, http.url(app))


async def test_a_branch_and_a_tag_of_one_name(sources: GitSources, url: str, app: ServedRepository) -> None:
    """The branch is built, and it is said; the full name of either says which is meant (T-17)."""
    git(app.work, "tag", "main", "HEAD~1")
    git(app.work, "push", "-q", "origin", "refs/tags/main")
    head, tagged = git(app.work, "rev-parse", "refs/heads/main"), git(app.work, "rev-parse", "refs/tags/main")
    found = await sources.resolve(url, "main")
    assert (found.commit_sha, found.branch, found.tag, found.other_ref) == (head, "main", "", "refs/tags/main")
    tag, branch = await sources.resolve(url, "refs/tags/main"), await sources.resolve(url, "refs/heads/main")
    assert (tag.commit_sha, tag.tag, tag.other_ref) == (tagged, "main", "")
    assert (branch.commit_sha, branch.branch, branch.other_ref) == (head, "main", "")


class Log:
    """The notes of a job's log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, key: str, step: int, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(("other", "lines"), [("", []), ("refs/tags/main", ["main is a branch and a tag"])])
def test_the_log_says_which_of_two_was_built(other: str, lines: list[str]) -> None:
    job, log = a_job(), Log()
    revision = Revision("1" * 40, "main", "main", other_ref=other)
    job = replace(job, trigger=replace(job.trigger, revision=revision))
    write_source(log, job, FakeTree(revision.commit_sha, b""))  # type: ignore[arg-type]
    assert [line.removeprefix("--- ").partition(":")[0] for line in log.lines] == lines
    assert all("for the tag: refs/tags/main" in line for line in log.lines)


NAMES = ("feature/ü", "a@b", "x+y=z", "deep/er/and/deeper", "HEAD2", "v1.0.x")


async def test_branches_with_odd_names(sources: GitSources, url: str, app: ServedRepository) -> None:
    git(app.work, "push", "-q", "origin", *(f"HEAD:refs/heads/{name}" for name in NAMES))
    for name in NAMES:
        found = await sources.resolve(url, name)
        assert (found.commit_sha, found.branch) == (git(app.work, "rev-parse", "HEAD"), name)


async def test_a_repository_of_sha256_is_refused_before_it_is_fetched(
    sources: GitSources, url: str, app: ServedRepository, tmp_path: Path
) -> None:
    shutil.rmtree(app.bare)
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", "new")
    git(tmp_path / "new", "commit", "-q", "--allow-empty", "-m", "first")
    git(tmp_path, "clone", "-q", "--bare", "new", str(app.bare))
    for ref in ("", "main"):
        with pytest.raises(Permanent, match="object format sha256"):
            await sources.resolve(url, ref)
    assert not list((tmp_path / "repos").glob("*.git"))


async def test_refs_of_forges(sources: GitSources, url: str, app: ServedRepository, tmp_path: Path) -> None:
    """Requests, notes and whatever else is neither a branch nor a tag."""
    for ref in ("refs/pull/7/head", "refs/merge-requests/7/head", "refs/notes/commits", "refs/for/main/topic"):
        git(app.work, "push", "-q", "origin", f"HEAD:{ref}")
        found = await sources.resolve(url, ref)
        assert (found.commit_sha, found.branch, found.tag) == (git(app.work, "rev-parse", "HEAD"), "", "")


@pytest.mark.parametrize("kind", ["tree", "blob"])
async def test_a_tag_of_no_commit_is_refused_in_one_sentence(
    sources: GitSources, url: str, app: ServedRepository, kind: str
) -> None:
    named = {"tree": "HEAD^{tree}", "blob": "HEAD:README"}[kind]
    for tag, words in (("light", ("tag", "light", named)), ("annotated", ("tag", "-a", "annotated", "-m", "x", named))):
        git(app.work, *words)
        git(app.work, "push", "-q", "origin", f"refs/tags/{tag}")
        with pytest.raises(Permanent, match="is not a commit") as refused:
            await (await sources.open(url, (await sources.resolve(url, tag)).commit_sha)).close()
        assert refused.value.hint == "name a branch, a tag or a commit"


async def test_a_tag_of_a_tag_leads_to_its_commit(
    sources: GitSources, url: str, app: ServedRepository, tmp_path: Path
) -> None:
    git(app.work, "tag", "-a", "inner", "-m", "x")
    git(app.work, "tag", "-a", "outer", "-m", "y", "inner")
    git(app.work, "push", "-q", "origin", "refs/tags/inner", "refs/tags/outer")
    found = await sources.resolve(url, "outer")
    copy = await unpacked(await sources.open(url, found.commit_sha, found.tag), tmp_path / "copy")
    assert git(copy, "describe", "--exact-match") == "outer"
    assert found.commit_sha == git(app.work, "rev-parse", "HEAD")


async def test_a_repository_without_a_head(sources: GitSources, url: str, app: ServedRepository) -> None:
    """Its default branch does not exist, as after a rename; its other branches are read."""
    git(app.bare, "symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(Permanent, match="has no commit yet"):
        await sources.resolve(url, "")
    assert (await sources.resolve(url, "main")).branch == "main"


async def test_a_root_commit_without_files(
    sources: GitSources, url: str, app: ServedRepository, tmp_path: Path
) -> None:
    git(app.work, "checkout", "-q", "--orphan", "empty")
    git(app.work, "rm", "-rfq", ".")
    git(app.work, "commit", "-q", "--allow-empty", "-m", "nothing")
    git(app.work, "push", "-q", "origin", "HEAD:refs/heads/empty")
    found = await sources.resolve(url, "empty")
    copy = await unpacked(await sources.open(url, found.commit_sha), tmp_path / "copy")
    assert [path.name for path in copy.iterdir()] == [".git"]
    assert git(copy, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("modules", "notice"),
    [
        (
            '[submodule "v"]\n\tpath = vendored\n\turl = https://git.example.org/v\n',
            "the submodule vendored is not fetched: the repository is a directory of the server",
        ),
        ("<<<<<<< HEAD\n", "no submodule is fetched: .gitmodules, line 1, cannot be parsed: '<<<<<<< HEAD'"),
    ],
)
async def test_the_log_names_the_submodules_of_a_local_repository(
    sources: GitSources, app: ServedRepository, tmp_path: Path, modules: str, notice: str
) -> None:
    (app.work / ".gitmodules").write_text(modules)
    git(app.work, "add", ".gitmodules")
    git(app.work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    git(app.work, "commit", "-q", "-m", "modules")
    source = await sources.open(str(app.work), git(app.work, "rev-parse", "HEAD"))
    await unpacked(source, tmp_path / "copy")
    assert source.notices == [notice]
