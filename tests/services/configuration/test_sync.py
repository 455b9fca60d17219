"""The configuration sync when its store fails; tests/adapters/git/test_sync.py tests what it reads and applies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqlitePipelines
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.changes import Change
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.errors import Defect, SourceLocation, StorageFull, Unavailable
from danube_pkg.edges.http.views.forge_links import file_url
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.configuration.sync import ConfigurationSync
from tests.support.databases import open_new_database
from tests.support.git_worker import GIT_WORKER
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_async

PIPELINE = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: NAME}\nspec: {repository: /srv/NAME}\n"


class UnrulyStore(SqliteConfiguration):
    """Each of `failures` is raised by one apply instead."""

    failures: list[Exception]

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().apply_changes(changes, state, applied)


class Desk:
    """A configuration over a directory; `applied` counts how often it changed something."""

    def __init__(self, path: Path, database: Database) -> None:
        self.directory = path / "config"
        (self.directory / "pipelines").mkdir(parents=True)
        self.pipelines = SqlitePipelines(database)
        ids = iter(f"id{number}" for number in range(1000))
        self.store = UnrulyStore(database, lambda: next(ids))
        self.store.failures = []
        self.applied = 0
        self.repository = ConfigRepository(str(self.directory), sync_interval=1)
        self.sources = GitSources(path / "repos", worker=GIT_WORKER)

    async def open(self) -> None:
        """Load what was applied last, as a server does at its start."""
        configuration = AppliedConfiguration(*await self.store.load_state())
        configuration.listen(self._count)
        self.source = ConfigurationDirectory(self.repository, self.sources)
        self.configuration = ConfigurationSync(
            self.repository, self.source, self.store, configuration, Timing(SystemClock())
        )

    def _count(self) -> None:
        self.applied += 1

    def write(self, name: str, text: str = PIPELINE) -> None:
        (self.directory / "pipelines" / f"{name}.yaml").write_text(text.replace("NAME", name))

    async def names(self) -> list[str]:
        return [pipeline.name for pipeline in await self.pipelines.list_pipelines()]


@asynccontextmanager
async def a_desk(path: Path) -> AsyncIterator[Desk]:
    database = open_new_database(path / "danube.db")
    desk = Desk(path, database)
    await desk.open()
    try:
        yield desk
    finally:
        await database.close()


async def test_a_full_disk_changes_nothing_and_the_next_sync_applies(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.write("one")
        assert (await desk.configuration.sync()).problem is None
        desk.write("two")
        desk.store.failures = [StorageFull("full", "no room")]
        status = await desk.configuration.sync()
        assert isinstance(status.problem, StorageFull)
        assert (await desk.names(), len(desk.configuration.applied.state.pipelines), desk.applied) == (["one"], 1, 1)
        assert (await desk.configuration.sync()).problem is None
        assert (await desk.names(), len(desk.configuration.applied.state.pipelines), desk.applied) == (
            ["one", "two"],
            2,
            2,
        )


async def test_a_mistake_anywhere_changes_nothing(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.write("one")
        await desk.configuration.sync()
        desk.write("two")
        desk.write(
            "bad", "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: bad}\nspec: {repository: 7, x: y}\n"
        )
        status = await desk.configuration.sync()
        assert status.findings
        assert (await desk.names(), desk.applied) == (["one"], 1)


async def test_a_bug_does_not_end_the_loop(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.store.failures = [RuntimeError("a bug")]
        desk.write("one")
        following = asyncio.create_task(desk.configuration.follow(), name="follow")
        await wait_until_async(lambda: desk.applied, 20, "the second sync")
        assert await desk.names() == ["one"]
        await end_all(following)


async def test_concurrent_syncs_run_one_after_the_other(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        desk.write("one")
        await asyncio.gather(*(desk.configuration.sync() for _ in range(10)))
        assert await desk.names() == ["one"]


async def test_the_text_of_each_document_is_stored_as_it_was_applied(tmp_path: Path) -> None:
    first = "# why it exists\n" + PIPELINE.replace("NAME", "one")
    second = PIPELINE.replace("NAME", "two").replace("spec: ", "# inside\nspec: ")
    third = "--- {apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: three}, spec: {repository: /srv/x}}\n"
    async with a_desk(tmp_path) as desk:
        desk.write("both", f"---\n{first}---\n\n# of the second\n{second}...\n{third}")
        await desk.configuration.sync()

        def texts() -> dict[str, str]:
            return {name: one.text for name, one in desk.configuration.applied.state.pipelines.items()}

        written = {"one": first, "two": f"# of the second\n{second}", "three": third}
        assert texts() == written
        desk.write("both", f"---\n{first.replace('why', 'that')}---\n\n# of the second\n{second}...\n{third}")
        await desk.configuration.sync()
        await desk.open()
        assert texts() == written | {"one": first.replace("why", "that")}


def test_findings_link_to_the_forge_where_it_is_known() -> None:
    sha, place, applied = "c0ffee" + "0" * 34, SourceLocation("pipelines/app.yaml", 4), AppliedConfiguration()
    at_forge = "git@gitlab.example.org:team/config.git"
    assert file_url("/srv/config", applied, sha, place) == ""
    assert file_url(at_forge, applied, sha, place) == (
        f"https://gitlab.example.org/team/config/-/blob/{sha}/pipelines/app.yaml#L4"
    )
    assert file_url(at_forge, applied, "dir-0123", place) == file_url(at_forge, applied, sha, None) == ""


async def test_whatever_fails_in_a_sync_the_last_good_configuration_stays_and_a_condition_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path) as desk:
        desk.write("one")
        await desk.configuration.sync()
        assert await desk.configuration.conditions() == ()

        async def read(unless: str = "") -> None:
            raise IndexError("list index out of range")

        desk.write("two")
        await desk.open()  # the server is started again
        with monkeypatch.context() as patch:
            patch.setattr(desk.source, "read", read)
            status = await desk.configuration.sync()
        assert isinstance(status.problem, Defect)
        (condition,) = await desk.configuration.conditions()
        assert condition.reference == "configuration-unreadable"
        assert "stays applied" in condition.what
        assert [*desk.configuration.applied.state.pipelines] == ["one"]
        assert (await desk.configuration.sync()).problem is None
        assert [*desk.configuration.applied.state.pipelines] == ["one", "two"]
        desk.write("three", "---\nkind: Nothing\n")
        await desk.configuration.sync()
        (condition,) = await desk.configuration.conditions()
        assert condition.reference == "configuration-invalid"
        assert "pipelines/three.yaml:2" in condition.what


class Unreachable(ConfigurationDirectory):
    """A forge that is started after the server."""

    tries = 0

    async def read(self, unless: str = "") -> None:
        self.tries += 1
        raise Unavailable("repository-unreachable", "connection refused")


def is_waiting(source: Unreachable, clock: MovedClock, tries: int) -> bool:
    return source.tries == tries and clock.next_wake is not None


async def test_an_unreachable_repository_is_tried_again_soon_and_then_less_often(tmp_path: Path) -> None:
    database, clock = open_new_database(tmp_path / "danube.db"), MovedClock(1000.0)
    repository = ConfigRepository("https://git.example.org/config", sync_interval=600)
    source = Unreachable(repository, GitSources(tmp_path / "repos", worker=GIT_WORKER))
    store = SqliteConfiguration(database, lambda: "id")
    sync = ConfigurationSync(repository, source, store, AppliedConfiguration(), Timing(clock, lambda: 1.0))
    following = asyncio.create_task(sync.follow(), name="follow")
    pauses = []
    for tries in range(1, 12):
        await wait_until_async(partial(is_waiting, source, clock, tries), 20, "the next try")
        assert clock.next_wake is not None
        pauses.append(clock.next_wake - clock.now())
        clock.move_to(clock.next_wake)
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses[-1] == 600.0
    await end_all(following)
    await database.close()
