"""The worker of a job: one process fetches and streams, and none is left or used twice."""

import os
import signal
from pathlib import Path

import pytest

from danube_pkg.adapters.git.process import Worker
from danube_pkg.adapters.git.sources import MAX_WAITING, GitSources
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from tests.adapters.git.remote import Known, add_submodule, unpacked
from tests.support.git_servers import HttpServer, ServedRepository, git
from tests.support.git_worker import PROCESSES, CountedStarts


@pytest.fixture
def counted(tmp_path: Path, known: Known) -> tuple[GitSources, CountedStarts]:
    starts = CountedStarts(PROCESSES)
    return GitSources(tmp_path / "repos", known, worker=Worker(starts)), starts


async def test_one_process_fetches_and_streams_a_commit_with_its_tag(
    counted: tuple[GitSources, CountedStarts], http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    sources, starts = counted
    git(app.work, "tag", "-a", "v9", "-m", "nine")
    git(app.work, "push", "-q", "origin", "v9")
    source = await sources.open(http.url(app), git(app.work, "rev-parse", "HEAD"), "v9")
    assert len(starts.running) == 1
    copy = await unpacked(source, tmp_path / "copy")
    assert git(copy, "describe", "--exact-match") == "v9"
    assert (starts.started, starts.running) == (1, [])
    assert (await unpacked(source, tmp_path / "again") / "README").read_text() == "second\n"
    assert (starts.started, starts.running) == (2, []), "a second reading has a worker of its own"


async def test_what_has_submodules_is_streamed_by_a_worker_without_credentials(
    counted: tuple[GitSources, CountedStarts], http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    sources, starts = counted
    library = ServedRepository(app.bare.parent / "library.git")
    library.commit({"library": "library\n"}, "library")
    add_submodule(app, "vendor/library", "../library.git", library)
    source = await sources.open(http.url(app), app.commit({}, "with a submodule"))
    assert (starts.started, starts.running) == (2, [])
    assert "remote" not in source.request
    copy = await unpacked(source, tmp_path / "copy")
    assert (copy / "vendor/library/library").read_text() == "library\n"
    assert (starts.started, starts.running) == (3, [])


async def test_a_source_that_is_not_streamed_leaves_no_process(
    counted: tuple[GitSources, CountedStarts], http: HttpServer, app: ServedRepository
) -> None:
    sources, starts = counted
    source = await sources.open(http.url(app), git(app.work, "rev-parse", "HEAD"))
    await source.close()
    await source.close()
    with pytest.raises(PlatformError):  # some servers disconnect in place of an answer
        await sources.open(http.url(app), "f" * 40)
    assert (starts.started, starts.running) == (2, [])


async def test_the_process_that_finds_the_commit_of_a_job_fetches_and_streams_it(
    counted: tuple[GitSources, CountedStarts], http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    sources, starts = counted
    found = await sources.find(http.url(app), "main")
    assert found.revision == await sources.resolve(http.url(app), "main")
    assert (starts.started, len(starts.running)) == (2, 1)
    copy = await unpacked(await found.open(), tmp_path / "copy")
    assert (copy / "README").read_text() == "second\n"
    assert (starts.started, starts.running) == (2, [])


async def test_few_processes_wait_for_the_start_of_their_jobs_and_none_is_left(
    counted: tuple[GitSources, CountedStarts],
    http: HttpServer,
    app: ServedRepository,
    tmp_path: Path,
) -> None:
    sources, starts = counted
    url = http.url(app)
    found = [await sources.find(url, "main") for _ in range(MAX_WAITING + 2)]
    assert len(starts.running) == MAX_WAITING
    assert (await unpacked(await found[-1].open(), tmp_path / "copy") / "README").exists(), "by a new one"
    for one in found:
        await one.close()
    assert starts.running == []
    with pytest.raises(Permanent):
        await sources.find(url, "nowhere")
    head = git(app.work, "rev-parse", "HEAD")
    assert (await sources.find(url, head)).revision.commit_message == "second"
    again = [await sources.find(url, "main") for _ in range(MAX_WAITING)]
    assert len(starts.running) == MAX_WAITING, "those that were closed count no more"
    for one in again:
        await one.close()


async def test_a_killed_process_that_waited_is_reported_and_the_tree_can_be_opened_again(
    counted: tuple[GitSources, CountedStarts], http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    sources, starts = counted
    found = await sources.find(http.url(app), "main")
    os.kill(starts.running[0], signal.SIGKILL)
    with pytest.raises(Unavailable, match="was ended by SIGKILL"):
        await found.open()
    source = await sources.open(http.url(app), found.revision.commit_sha)
    assert (await unpacked(source, tmp_path / "copy") / "README").exists()
    assert starts.running == []
