"""Sources of real repositories: made by the host's git, streamed by the worker, unpacked, checked by git."""

import io
import os
import subprocess
import tarfile
import threading
import wsgiref.simple_server
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain

from danube_pkg.adapters.git.limits import CHUNK_BYTES
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.git.working_tree_source import WorkingTree
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.repositories.ports import Sources, SourceTree
from tests.support.git_worker import GIT_WORKER

_QUIET = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(directory: Path, *words: str) -> str:
    environment = {**os.environ, **_QUIET}
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *words], cwd=directory, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return os.fsdecode(done.stdout).strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits with a branch, an annotated tag, a script, a link, unusual names and a submodule's entry."""
    path = tmp_path / "app"
    (path / "deep" / "er").mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    (path / "README").write_text("first\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "first")
    git(path, "tag", "-a", "v1", "-m", "one")
    (path / "README").write_text("second\n")
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o755)
    (path / "link").symlink_to("deep/er/file")
    (path / "deep" / "er" / "file").write_bytes(bytes(range(256)) * 4000)
    (path / "deep" / "n\u00e4me with space").write_text("x")
    (path / os.fsdecode(b"not-utf8-\xff")).write_text("x")
    (path / "a.b").write_text("")
    (path / "a").mkdir()
    (path / "a" / "b").write_text("same as nothing")
    git(path, "add", ".")
    git(path, "update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,vendored")
    git(path, "commit", "-q", "-m", "second")
    git(path, "branch", "release/1.0")
    return path


@pytest.fixture
def sources(tmp_path: Path) -> GitSources:
    return GitSources(tmp_path / "repos", worker=GIT_WORKER)


async def read(source: SourceTree) -> bytes:
    chunks = [chunk async for chunk in source.stream()]
    assert max(map(len, chunks)) <= CHUNK_BYTES
    return b"".join(chunks)


async def drained(stream: AsyncIterator[bytes]) -> int:
    return sum([len(chunk) async for chunk in stream])


async def unpacked(source: SourceTree, target: Path) -> Path:
    target.mkdir()
    with tarfile.open(fileobj=io.BytesIO(await read(source)), errors="surrogateescape") as tar:
        for member in tar:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            tar.extract(member, target)
    return target


async def test_a_repository_of_sha256_is_refused_with_its_reason(sources: GitSources, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "new")
    git(tmp_path / "new", "commit", "-q", "--allow-empty", "-m", "first")
    head = git(tmp_path / "new", "rev-parse", "HEAD")
    for repository in (str(tmp_path / "new"), "http://127.0.0.1:1/never/asked.git"):
        with pytest.raises(Permanent, match="object format sha256") as refused:
            await read(await sources.open(repository, head))
        assert "git fast-export" in refused.value.hint


@pytest.mark.parametrize("tag", ["v1.0", "release/2.0"])
async def test_the_tag_of_a_job_is_in_its_checkout(
    sources: GitSources, repository: Path, tmp_path: Path, tag: str
) -> None:
    git(repository, "tag", "-a", tag, "-m", "the release")
    git(repository, "tag", "lightweight")
    revision = await sources.resolve(str(repository), tag)
    copy = await unpacked(await sources.open(str(repository), revision.commit_sha, revision.tag), tmp_path / "copy")
    assert git(copy, "describe", "--exact-match") == tag
    assert git(copy, "cat-file", "-t", tag) == "tag"
    assert git(copy, "tag") == tag
    assert git(copy, "fsck", "--full") == ""
    light = await unpacked(await sources.open(str(repository), revision.commit_sha, "lightweight"), tmp_path / "light")
    assert git(light, "describe", "--tags", "--exact-match") == "lightweight"


@pytest.mark.parametrize("tag", ["moved", "never-there"])
async def test_a_tag_that_leads_elsewhere_names_the_commit_of_its_job(
    sources: GitSources, repository: Path, tmp_path: Path, tag: str
) -> None:
    git(repository, "tag", "-a", "moved", "-m", "of another commit", "HEAD~1")
    head = git(repository, "rev-parse", "HEAD")
    copy = await unpacked(await sources.open(str(repository), head, tag), tmp_path / "copy")
    assert git(copy, "rev-parse", f"refs/tags/{tag}") == head


@pytest.mark.parametrize("tag", ["../../outside", "a..b", "a.lock", "with space"])
async def test_a_name_that_git_refuses_for_a_tag_is_left_out(
    sources: GitSources, repository: Path, tmp_path: Path, tag: str
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    copy = await unpacked(await sources.open(str(repository), head, tag), tmp_path / "copy")
    assert git(copy, "tag") == ""
    assert list((copy / ".git" / "refs" / "tags").iterdir()) == []


async def test_a_commit_arrives_as_a_clean_shallow_checkout(
    sources: GitSources, repository: Path, tmp_path: Path
) -> None:
    revision = await sources.resolve(str(repository), "")
    assert (revision.commit_sha, revision.branch) == (git(repository, "rev-parse", "HEAD"), "main")
    assert (revision.commit_message, revision.commit_author) == ("second", "A")
    copy = await unpacked(await sources.open(str(repository), revision.commit_sha), tmp_path / "copy")

    assert git(copy, "status", "--porcelain") == ""
    assert git(copy, "log", "--format=%H %s") == f"{revision.commit_sha} second"
    assert git(copy, "fsck", "--full") == ""
    assert git(copy, "rev-parse", "--is-shallow-repository") == "true"
    assert (copy / "link").readlink() == Path("deep/er/file")
    assert os.access(copy / "run.sh", os.X_OK)
    assert not os.stat(copy / "README").st_mode & 0o111
    assert (copy / "vendored").is_dir()
    assert str(repository) not in (copy / ".git" / "config").read_text()
    (copy / "README").write_text("changed")
    assert git(copy, "status", "--porcelain") == "M README"


async def test_the_same_commit_is_the_same_stream(sources: GitSources, repository: Path) -> None:
    revision = await sources.resolve(str(repository), "main")
    source = await sources.open(str(repository), revision.commit_sha)
    assert await read(source) == await read(source)


async def test_refs_are_resolved_by_each_form_of_their_name(sources: GitSources, repository: Path) -> None:
    head, first = git(repository, "rev-parse", "HEAD"), git(repository, "rev-parse", "HEAD~1")
    cases = {
        "main": (head, "main", ""),
        "release/1.0": (head, "release/1.0", ""),
        "refs/heads/main": (head, "main", ""),
        "v1": (first, "", "v1"),
        "refs/tags/v1": (first, "", "v1"),
        first: (first, "", ""),
        first[:9]: (first, "", ""),
    }
    for ref, expected in cases.items():
        found = await sources.resolve(str(repository), ref)
        assert (found.commit_sha, found.branch, found.tag, found.ref) == (*expected, ref)
    assert (await sources.resolve(f"file://{repository}", "")).ref == "main"


async def test_a_bare_repository_and_an_old_commit_can_be_read(
    sources: GitSources, repository: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    revision = await sources.resolve(str(tmp_path / "bare.git"), "v1")
    copy = await unpacked(await sources.open(str(tmp_path / "bare.git"), revision.commit_sha), tmp_path / "copy")
    assert (copy / "README").read_text() == "first\n"
    assert git(copy, "status", "--porcelain") == ""


@pytest.mark.parametrize("ref", ["nowhere", "v2", "f" * 40, "fffffff", "--upload-pack=x", "a b", "x" * 600])
async def test_an_unknown_ref_is_refused_with_its_name(sources: GitSources, repository: Path, ref: str) -> None:
    with pytest.raises(Permanent) as refused:
        await sources.resolve(str(repository), ref)
    assert refused.value.reference == "source-unavailable"
    assert ref[:80] in str(refused.value)


async def test_other_directories_and_empty_repositories_are_refused(sources: GitSources, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(Permanent, match="no directory"):
        await sources.resolve(str(tmp_path / "missing"), "")
    with pytest.raises(Permanent, match="not a Git repository"):
        await sources.resolve(str(empty), "main")
    git(empty, "init", "-q")
    with pytest.raises(Permanent, match="no commit yet"):
        await sources.resolve(str(empty), "")


async def test_a_damaged_repository_says_which_file(sources: GitSources, repository: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:README")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    revision = await sources.resolve(str(repository), "")
    with pytest.raises(Permanent, match="README"):
        await read(await sources.open(str(repository), revision.commit_sha))


async def test_a_plain_directory_is_streamed_with_all_its_files(sources: GitSources, tmp_path: Path) -> None:
    directory = tmp_path / "plain"
    (directory / "sub" / "empty").mkdir(parents=True)
    (directory / "sub" / "file").write_text("text")
    (directory / ".venv").mkdir()
    (directory / ".venv" / "python").symlink_to("/usr/bin/python3")
    os.mkfifo(directory / "pipe")
    revision = await sources.resolve(str(directory), "")
    assert revision.commit_sha == ""
    with tarfile.open(fileobj=io.BytesIO(await read(await sources.open(str(directory), "")))) as tar:
        assert tar.getnames() == [".venv", "sub", ".venv/python", "sub/empty", "sub/file"]


async def test_a_file_that_cannot_be_read_is_named(sources: GitSources, tmp_path: Path) -> None:
    directory = tmp_path / "plain"
    directory.mkdir()
    (directory / "private").write_text("x")
    (directory / "private").chmod(0)
    source = await sources.open(str(directory), "")
    if os.geteuid() == 0:
        with tarfile.open(fileobj=io.BytesIO(await read(source))) as tar:
            file = tar.extractfile("private")
            assert file is not None
            assert file.read() == b"x"
        return
    with pytest.raises(Permanent, match="private"):
        await read(source)


async def test_a_file_that_shrinks_while_it_is_read_is_an_error(sources: GitSources, tmp_path: Path) -> None:
    directory = tmp_path / "plain"
    directory.mkdir()
    (directory / "a-large").write_bytes(bytes(32 * 1024**2))
    (directory / "b-vanishing").write_text("x")
    stream = (await sources.open(str(directory), "")).stream()
    await anext(stream)
    # The pipe is full, and the worker is in the middle of the large file.
    os.truncate(directory / "a-large", 1024)
    with pytest.raises(Unavailable, match="a-large"):
        await drained(stream)


async def test_a_file_that_vanishes_is_an_error(sources: GitSources, tmp_path: Path) -> None:
    directory = tmp_path / "plain"
    directory.mkdir()
    (directory / "a-large").write_bytes(bytes(32 * 1024**2))
    (directory / "b-vanishing").write_text("x")
    stream = (await sources.open(str(directory), "")).stream()
    await anext(stream)
    (directory / "b-vanishing").unlink()
    with pytest.raises(Unavailable, match="b-vanishing"):
        await drained(stream)


async def test_a_working_tree_is_what_git_would_see(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n/build/\n")
    (repository / "deep" / ".gitignore").write_text("!kept.log\nlocal\n")
    (repository / ".git" / "info" / "exclude").write_text("excluded\n")
    for name in ("a.log", "deep/kept.log", "deep/local", "excluded", "new file", "build/out", "build/tracked"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(name)
    git(repository, "add", "-f", "build/tracked")
    (repository / "README").write_text("as it is on disk\n")
    (repository / "run.sh").unlink()

    tree = WorkingTree(repository, tmp_path, GIT_WORKER)
    revision = await tree.resolve("", "")
    assert (revision.commit_sha, revision.branch) == (git(repository, "rev-parse", "HEAD"), "main")
    copy = await unpacked(await tree.open("", revision.commit_sha), tmp_path / "copy")
    listed = git(repository, "ls-files", "-z", "-c", "-o", "--exclude-standard").split("\0")
    expected = {name for name in listed if os.path.lexists(repository / name) and name != "vendored" and name}
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_symlink() or path.is_file()}
    assert {name for name in found if not name.startswith(".git/")} == expected
    assert (copy / "README").read_text() == "as it is on disk\n"
    assert not (copy / "run.sh").exists()
    assert not (copy / "a.log").exists()
    assert not (copy / "excluded").exists()
    assert git(copy, "rev-parse", "--abbrev-ref", "HEAD") == "main"


async def test_a_working_tree_outside_a_repository_is_all_files(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "danubefile.py").write_text("")
    tree = WorkingTree(tmp_path / "app", tmp_path, GIT_WORKER)
    assert (await tree.resolve("", "")).commit_sha == ""
    with tarfile.open(fileobj=io.BytesIO(await read(await tree.open("", "")))) as tar:
        assert tar.getnames() == ["danubefile.py"]


async def test_a_commit_with_a_dangerous_name_is_refused(sources: GitSources, repository: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:README")
    entry = b"100644 .GIT\0" + bytes.fromhex(blob)
    tree = _write_object(repository, b"tree", entry)
    commit = git(repository, "commit-tree", tree, "-m", "bad")
    with pytest.raises(Permanent, match="unsafe"):
        await read(await sources.open(str(repository), commit))


def _write_object(repository: Path, kind: bytes, data: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-t", kind.decode(), "-w", "--stdin", "--literally"],
        cwd=repository,
        input=data,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def served(repository: Path) -> Iterator[str]:
    """The URL of the repository, served over HTTP by dulwich without authentication."""
    with Repo(str(repository)) as repo:
        app = make_wsgi_chain(DictBackend({b"/app": cast("BackendRepo", repo)}))
        handler = type("Quiet", (wsgiref.simple_server.WSGIRequestHandler,), {"log_message": lambda *_: None})
        server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=handler)
        thread = threading.Thread(target=server.serve_forever, name="git-http", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/app"
        server.shutdown()
        thread.join()
        server.server_close()


async def test_an_anonymous_remote_is_mirrored_by_commit(
    sources: GitSources, repository: Path, served: str, tmp_path: Path
) -> None:
    revision = await sources.resolve(served, "")
    assert revision.commit_sha == git(repository, "rev-parse", "HEAD")
    assert revision.branch == "main"
    copy = await unpacked(await sources.open(served, revision.commit_sha), tmp_path / "copy")
    assert git(copy, "status", "--porcelain") == ""
    assert git(copy, "log", "--format=%s") == "second"
    assert git(copy, "remote", "get-url", "origin") == served
    tagged = await sources.resolve(served, "v1")
    assert (tagged.commit_sha, tagged.tag) == (git(repository, "rev-parse", "v1^{commit}"), "v1")
    with pytest.raises(PlatformError, match="nowhere"):
        await sources.resolve(served, "nowhere")


async def test_an_unreachable_remote_can_be_retried(sources: GitSources) -> None:
    with pytest.raises(Unavailable) as unreachable:
        await sources.resolve("http://127.0.0.1:1/app", "")
    assert unreachable.value.reference == "source-unreachable"


async def test_the_worker_ends_when_its_reader_stops(sources: GitSources, tmp_path: Path) -> None:
    directory = tmp_path / "plain"
    directory.mkdir()
    (directory / "large").write_bytes(bytes(8 * 1024**2))
    before, stream = workers(), (await sources.open(str(directory), "")).stream()
    assert await anext(stream)
    assert len(workers() - before) == 1
    await stream.aclose()
    assert workers() - before == set()


def workers() -> set[str]:
    """The workers that run: the processes of fork servers."""
    servers = [pid for pid in children("self") if b"danube_pkg.adapters.git.worker" in command_line(pid)]
    return {worker for pid in servers for worker in children(pid)}


def children(pid: str) -> list[str]:
    """The child processes of every thread of a process."""
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def command_line(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def implements(sources: GitSources, tree: WorkingTree) -> tuple[Sources, Sources]:
    """Checked by mypy."""
    return sources, tree
