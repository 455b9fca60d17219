"""What every implementation of `Sources`, `SourceFiles`, `CommitReader` and `HeadReader` does, the fake included.

The implementations: `GitSources` on a local repository and on one behind a real HTTP server, and `FakeSources`.
"""

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.repositories.ports import SourceFiles, Sources, SourceTree
from danube_pkg.core.triggers.heads import RefHead
from danube_pkg.core.triggers.ports import CommitReader, HeadReader
from tests.fakes.sources import FakeSources
from tests.support.git_servers import HttpServer, ServedRepository, git
from tests.support.git_worker import GIT_WORKER

FILES = {"README": "hello\n", "pipelines/a.yaml": "a", "pipelines/b.yaml": "b", "pipelines/deep/c.yaml": "c"}
MAX_CHUNK_BYTES = 256 * 1024


@dataclass
class ContractSources:
    """Sources with one repository: `commit` is the head of `main`, `topic` a commit that changes README.

    disconnect: makes the repository unreachable.
    """

    sources: Sources
    files: SourceFiles
    commits: CommitReader
    heads: HeadReader
    repository: str
    commit: str
    topic: str
    disconnect: Callable[[], object]


def git_sources(path: Path, stack: ExitStack, *, remote: bool) -> ContractSources:
    repository = ServedRepository(path / "served" / "app.git")
    commit = repository.commit(FILES)
    git(repository.work, "checkout", "-q", "-b", "topic")
    topic = repository.commit({"README": "changed\n"})
    sources = GitSources(path / "repos", worker=GIT_WORKER)
    if not remote:
        bare = repository.bare
        return ContractSources(
            sources,
            sources,
            sources,
            sources,
            str(bare),
            commit,
            topic,
            lambda: bare.rename(bare.with_suffix(".moved")),
        )
    server = stack.enter_context(HttpServer(path / "served"))
    return ContractSources(sources, sources, sources, sources, server.url(repository), commit, topic, server.stop)


def fake_sources() -> ContractSources:
    files = {name: text.encode() for name, text in FILES.items()}
    sources = FakeSources(files=files, missing_refs=["nowhere"], changed=["README"])
    sources.heads_of["/srv/app"] = {"refs/heads/main": sources.commit_sha, "refs/heads/topic": "1" * 40}

    def disconnect() -> None:
        sources.failure = Unavailable("source-unreachable", "the repository cannot be reached now")

    return ContractSources(sources, sources, sources, sources, "/srv/app", sources.commit_sha, "1" * 40, disconnect)


@pytest.fixture(params=["local", "remote", "fake"])
def contract(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContractSources]:
    with ExitStack() as stack:
        yield (
            fake_sources()
            if request.param == "fake"
            else git_sources(tmp_path, stack, remote=request.param == "remote")
        )


async def read(source: SourceTree) -> bytes:
    stream: AsyncIterator[bytes] = source.stream()
    chunks = [chunk async for chunk in stream]
    assert max(map(len, chunks)) <= MAX_CHUNK_BYTES
    return b"".join(chunks)


async def test_no_ref_is_the_head_of_the_default_branch(contract: ContractSources) -> None:
    found = await contract.sources.resolve(contract.repository, "")
    assert (found.commit_sha, found.ref, found.branch, found.tag) == (contract.commit, "main", "main", "")


@pytest.mark.parametrize("ref", ["main", "refs/heads/main"])
async def test_a_branch_is_resolved_by_both_forms_of_its_name(contract: ContractSources, ref: str) -> None:
    found = await contract.sources.resolve(contract.repository, ref)
    assert (found.commit_sha, found.ref, found.branch) == (contract.commit, ref, "main")


async def test_a_hash_is_its_own_commit_on_no_branch(contract: ContractSources) -> None:
    found = await contract.sources.resolve(contract.repository, contract.commit)
    assert (found.commit_sha, found.ref, found.branch, found.tag) == (contract.commit, contract.commit, "", "")


async def test_an_unknown_ref_is_refused_with_its_name(contract: ContractSources) -> None:
    with pytest.raises(Permanent, match="'nowhere'") as refused:
        await contract.sources.resolve(contract.repository, "nowhere")
    assert refused.value.reference == "source-unavailable"
    assert refused.value.hint


async def test_a_tree_streams_the_same_tar_each_time(contract: ContractSources) -> None:
    source = await contract.sources.open(contract.repository, contract.commit)
    data = await read(source)
    assert data == await read(source)
    assert source.commit_sha == contract.commit
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {
            one.name: file.read().decode()
            for one in tar.getmembers()
            if not one.name.startswith(".git/") and (file := tar.extractfile(one)) is not None
        }
    assert found == FILES


async def test_what_finds_a_commit_opens_its_tree(contract: ContractSources) -> None:
    found = await contract.sources.find(contract.repository, "main")
    assert found.revision == await contract.sources.resolve(contract.repository, "main")
    tree = await found.open()
    direct = await contract.sources.open(contract.repository, contract.commit)
    assert tree.commit_sha == direct.commit_sha
    assert [chunk async for chunk in tree.stream()] == [chunk async for chunk in direct.stream()]
    unused = await contract.sources.find(contract.repository, "main")
    await unused.close()
    with pytest.raises(Permanent):
        await contract.sources.find(contract.repository, "nowhere")


async def test_single_files_are_read_by_name_or_pattern_and_missing_ones_are_left_out(
    contract: ContractSources,
) -> None:
    names = ["README", "missing", "pipelines/*.yaml"]
    found = await contract.files.read_files(contract.repository, contract.commit, names)
    assert {one.name: (one.data, one.size_bytes, one.is_link) for one in found} == {
        "README": (b"hello\n", 6, False),
        "pipelines/a.yaml": (b"a", 1, False),
        "pipelines/b.yaml": (b"b", 1, False),
    }


async def test_changed_files_are_the_paths_that_differ_from_the_branch(contract: ContractSources) -> None:
    assert await contract.commits.changed_files(contract.repository, "main", contract.topic) == ["README"]


async def test_two_commits_are_compared(contract: ContractSources) -> None:
    found = await contract.commits.changed_between(contract.repository, contract.commit, contract.topic)
    assert found == ["README"]


async def test_a_commit_has_its_message_and_author(contract: ContractSources) -> None:
    found = await contract.commits.commit_text(contract.repository, contract.topic)
    assert found.message.strip() in ("change", "a change")
    assert found.author


async def test_an_unreachable_repository_is_an_error_of_each_call(contract: ContractSources) -> None:
    contract.disconnect()
    with pytest.raises(PlatformError):
        await contract.sources.resolve(contract.repository, "")
    with pytest.raises(PlatformError):
        await contract.files.read_files(contract.repository, contract.commit, ["README"])
    with pytest.raises(PlatformError):
        await contract.commits.changed_files(contract.repository, "main", contract.topic)
    with pytest.raises(PlatformError):
        await contract.commits.changed_between(contract.repository, contract.commit, contract.topic)
    with pytest.raises(PlatformError):
        await contract.commits.commit_text(contract.repository, contract.topic)


@pytest.mark.parametrize("contract", ["remote", "fake"], indirect=True)
async def test_the_branches_of_a_remote_repository_are_listed(contract: ContractSources) -> None:
    found = await contract.heads.list_heads(contract.repository)
    assert sorted(found, key=lambda one: one.ref) == [
        RefHead("refs/heads/main", contract.commit, contract.commit),
        RefHead("refs/heads/topic", contract.topic, contract.topic),
    ]
    contract.disconnect()
    with pytest.raises(Unavailable):
        await contract.heads.list_heads(contract.repository)
