"""Mirrors of remote repositories: bounded, separate for each credential; submodules, Git LFS and single files."""

import os
from pathlib import Path

import pytest

from danube_pkg.adapters.git.mirrors import Mirrors
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.repositories.revisions import GitProgram
from danube_pkg.core.repositories.urls import canonical
from tests.adapters.git.remote import Known, add_submodule, mirrors, unpacked
from tests.support.git_servers import (
    HttpServer,
    ServedRepository,
    SshServer,
    git,
)
from tests.support.git_worker import GIT_WORKER
from tests.support.trees import make_deep

# --- mirrors


async def test_mirrors_are_bounded_and_the_least_recently_used_is_removed_first(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path, limit_bytes=300_000)
    made = []
    for number in range(4):
        mirror = mirrors.path(f"https://example.org/{number}", "rule")
        mirror.mkdir()
        (mirror / "pack").write_bytes(bytes(100_000))
        os.utime(mirror, (number, number))
        made.append(mirror)
    async with mirrors.using(made[0]):
        await mirrors.evict(made[3])
    # The first is in use; the second is the oldest of the others.
    assert [mirror.exists() for mirror in made] == [True, False, False, True] or [
        mirror.exists() for mirror in made
    ] == [True, False, True, True]
    await mirrors.evict(made[3])
    assert sum(mirror.exists() for mirror in made) <= 3


async def test_a_mirror_with_deep_refs_is_counted_and_removed(tmp_path: Path) -> None:
    """A remote chooses the names of its refs, and with them the directories of its mirror."""
    mirrors = Mirrors(tmp_path, limit_bytes=300_000)
    deep, other = (mirrors.path(f"https://example.org/{name}", "rule") for name in ("deep", "other"))
    make_deep(deep, 1_100, "a")
    other.mkdir()
    await mirrors.evict(other)
    assert (deep.exists(), other.exists(), list(tmp_path.glob("*.removed"))) == (False, True, [])


async def test_a_mirror_is_not_shared_between_credentials(
    sources: GitSources, known: Known, http: HttpServer, app: ServedRepository
) -> None:
    url, commit = http.url(app), git(app.work, "rev-parse", "HEAD")
    await (await sources.open(url, commit)).close()
    known.credentials = {}
    with pytest.raises(Permanent, match="without credentials"):
        await (await sources.open(url, commit)).close()


async def test_a_mirror_with_too_many_packs_is_fetched_anew(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danube_pkg.adapters.git.mirrors.MAX_PACKS", 1)
    url = http.url(app)
    for number in range(3):
        await (await sources.open(url, app.commit({"README": f"{number}\n"}))).close()
    (mirror,) = mirrors(tmp_path)
    assert len(list((mirror / "objects" / "pack").glob("*.pack"))) <= 2


# --- submodules and large files


async def test_submodules_are_fetched_each_with_its_own_credential(
    sources: GitSources, ssh: SshServer, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    inner = ServedRepository(app.bare.parent / "inner.git")
    inner.commit({"inner": "inner\n"}, "inner")
    library = ServedRepository(app.bare.parent / "library.git")
    add_submodule(library, "deep/inner", ssh.url(inner), inner)
    library.commit({"library": "library\n"}, "library")
    add_submodule(app, "vendor/library", "../library.git", library)
    commit = app.commit({}, "with a submodule")

    source = await sources.open(http.url(app), commit)
    copy = await unpacked(source, tmp_path / "copy")
    assert (copy / "vendor/library/library").read_text() == "library\n"
    assert (copy / "vendor/library/deep/inner/inner").read_text() == "inner\n"
    assert git(copy, "status", "--porcelain", "--ignore-submodules=none") == ""
    status = git(copy, "submodule", "status", "--recursive").splitlines()
    assert [line.split()[:2] for line in status] == [
        [git(library.work, "rev-parse", "HEAD"), "vendor/library"],
        [git(inner.work, "rev-parse", "HEAD"), "vendor/library/deep/inner"],
    ]
    assert git(copy / "vendor/library", "log", "--format=%s") == "library"
    assert source.notices == [
        f"submodule vendor/library: {http.url(library)}, a-token",
        f"submodule deep/inner: {ssh.url(inner)}, a-key",
    ]
    assert [(one.path, one.repository, one.commit_sha) for one in source.submodules] == [
        ("vendor/library", http.url(library), git(library.work, "rev-parse", "HEAD")),
        ("vendor/library/deep/inner", ssh.url(inner), git(inner.work, "rev-parse", "HEAD")),
    ]


class Guard:
    """Lends credentials for these repositories, and allows the hosts of the configuration.

    addresses: what each allowed host has.
    """

    def __init__(self, *lent: str, addresses: tuple[str, ...] = ()) -> None:
        self._lent = lent
        self._addresses = addresses
        self.asked: list[tuple[str, int, bool]] = []

    def lends(self, url: str) -> bool:
        return url in self._lent

    async def allowed_addresses(self, host: str, port: int, *, configured: bool) -> tuple[str, ...] | None:
        self.asked.append((host, port, configured))
        return self._addresses if configured else None


async def test_the_servers_credential_is_lent_to_named_submodules_only(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    """A committer names any repository that a rule matches, also of another team."""
    private = ServedRepository(app.bare.parent / "private.git")
    private.commit({"secret": "of another team\n"}, "private")
    add_submodule(app, "stolen", "../private.git", private)
    commit = app.commit({}, "with a submodule")
    guard = Guard()
    with pytest.raises(Permanent, match="the submodule stolen cannot be read without a credential") as refusal:
        await (await sources.open(http.url(app), commit, "", guard)).close()
    assert refusal.value.hint == f"in the pipeline's YAML: submodules: [{canonical(http.url(private))}]"
    assert [configured for _, _, configured in guard.asked] == [True]
    source = await sources.open(http.url(app), commit, "", Guard(http.url(private)))
    copy = await unpacked(source, tmp_path / "copy")
    assert (copy / "stolen/secret").exists()


async def test_a_submodule_of_a_host_that_is_not_allowed_is_not_contacted(
    sources: GitSources, ssh: SshServer, http: HttpServer, app: ServedRepository
) -> None:
    other = ServedRepository(app.bare.parent / "other.git")
    other.commit({"x": "x\n"}, "x")
    add_submodule(app, "outside", "https://metadata.invalid:8443/other.git", other)
    commit = app.commit({}, "with a submodule")
    guard = Guard()
    with pytest.raises(Permanent, match=r"metadata\.invalid is not allowed") as refusal:
        await (await sources.open(http.url(app), commit, "", guard)).close()
    assert "egress_allowlist: [metadata.invalid:8443]" in refusal.value.hint
    assert guard.asked == [("metadata.invalid", 8443, False)]


@pytest.mark.parametrize("program", GitProgram)
async def test_a_submodule_that_redirects_to_another_host_is_not_fetched_there(
    tmp_path: Path, http: HttpServer, app: ServedRepository, known: Known, program: GitProgram
) -> None:
    """Only the host that .gitmodules names was decided about: the other one may be a server of the private network."""
    other = ServedRepository(app.bare.parent / "other.git")
    other.commit({"x": "x\n"}, "x")
    add_submodule(app, "sub", "../moved.git", other)
    commit = app.commit({}, "with a submodule")
    sources = GitSources(tmp_path / "repos", known, settings=SourceSettings(git=program), worker=GIT_WORKER)
    with HttpServer(http.root) as elsewhere:
        http.moved[f"/{app.bare.parent.name}/moved.git"] = elsewhere.url(other)
        with pytest.raises(Permanent, match="is not fetched: it redirects to ") as refusal:
            await (
                await sources.open(http.url(app), commit, "", Guard(f"{http.url(app).rpartition('/')[0]}/moved.git"))
            ).close()
        assert "set-url" in refusal.value.hint
        assert elsewhere.requests == []


@pytest.mark.parametrize("program", GitProgram)
async def test_a_submodule_is_fetched_from_a_checked_address_only(
    tmp_path: Path, http: HttpServer, app: ServedRepository, known: Known, program: GitProgram
) -> None:
    """The name may have another address when it is looked up again, one of the private network: DNS rebinding."""
    other = ServedRepository(app.bare.parent / "other.git")
    other.commit({"x": "x\n"}, "x")
    add_submodule(app, "sub", "../other.git", other)
    commit = app.commit({}, "with a submodule")
    sources = GitSources(tmp_path / "repos", known, settings=SourceSettings(git=program), worker=GIT_WORKER)
    url = http.url(app).replace("127.0.0.1", "localhost")
    lent = f"{url.rpartition('/')[0]}/other.git"
    http.requests.clear()
    with pytest.raises(Unavailable, match=r"other\.git cannot be reached now"):
        await (await sources.open(url, commit, "", Guard(lent, addresses=("127.0.0.2",)))).close()
    assert [one for one in http.requests if "other.git" in one] == []
    source = await sources.open(url, commit, "", Guard(lent, addresses=("127.0.0.2", "127.0.0.1")))
    assert (await unpacked(source, tmp_path / "copy") / "sub/x").exists()


async def test_a_submodule_that_was_renamed_on_its_host_is_fetched(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    other = ServedRepository(app.bare.parent / "other.git")
    other.commit({"x": "x\n"}, "x")
    add_submodule(app, "sub", "../moved.git", other)
    http.moved[f"/{app.bare.parent.name}/moved.git"] = http.url(other)
    source = await sources.open(http.url(app), app.commit({}, "with a submodule"))
    assert (await unpacked(source, tmp_path / "copy") / "sub/x").exists()


async def test_a_broken_gitmodules_is_a_notice_with_its_line(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    broken = '[submodule "a"]\n\tpath = a\n<<<<<<< HEAD\n\turl = https://git.example.org/a\n=======\n'
    source = await sources.open(http.url(app), app.commit({".gitmodules": broken}, "unfinished merge"))
    copy = await unpacked(source, tmp_path / "copy")
    assert (copy / ".gitmodules").read_text() == broken
    assert source.notices == [
        "no submodule is fetched: .gitmodules, line 3, cannot be parsed: '<<<<<<< HEAD'",
    ]


@pytest.mark.parametrize("url", ["/srv/private", "file:///srv/private", "../../..", "http://127.0.0.1:1/metadata"])
async def test_a_submodule_that_leads_to_the_server_itself_is_not_fetched(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path, url: str
) -> None:
    other = ServedRepository(app.bare.parent / "other.git")
    other.commit({"x": "x"})
    add_submodule(app, "sub", url, other)
    source = await sources.open(http.url(app), app.commit({}, "a dangerous submodule"))
    copy = await unpacked(source, tmp_path / "copy")
    assert list((copy / "sub").iterdir()) == []
    assert len(source.notices) == 1
    assert source.notices[0].startswith("the submodule sub is not fetched: ")


async def test_pointers_of_git_lfs_are_reported(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    source = await sources.open(http.url(app), app.commit({"model.bin": pointer, "movie.bin": pointer}))
    await unpacked(source, tmp_path / "copy")
    assert source.notices[0].startswith("2 files are only pointers of Git LFS (model.bin and so on)")


async def test_single_files_are_read_without_the_tree(
    sources: GitSources, http: HttpServer, app: ServedRepository
) -> None:
    (app.work / "pipelines").mkdir()
    (app.work / "pipelines" / "link.yaml").symlink_to("/etc/passwd")
    commit = app.commit(
        {"pipelines/a.yaml": "a", "pipelines/b.yaml": "b", "pipelines/deep/c.yaml": "c", "pipelines/.d.yaml": "d"}
    )
    files = await sources.read_files(
        http.url(app), commit, ["README", "missing", "pipelines/*.yaml", "pipelines/*/*.yaml", "README/x", "large"]
    )
    found = {file.name: (file.size_bytes, file.is_link) for file in files}
    assert found == {
        "README": (7, False),
        "large": (400_000, False),
        "pipelines/a.yaml": (1, False),
        "pipelines/b.yaml": (1, False),
        "pipelines/deep/c.yaml": (1, False),
        "pipelines/link.yaml": (11, True),
    }
