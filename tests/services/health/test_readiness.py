"""Readiness: a server that cannot do its work says so, and why."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.disk.probe import DirectoryDisk
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import KeyDirectory, Keys, open_deploy_key
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqliteServerState
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.readiness import (
    CLOCK_ACCEPTED_SECONDS,
    NEEDED_BYTES,
    STALE_SECONDS,
    DiskState,
)
from danube_pkg.core.health.subsystems import Part
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health.checks import (
    CHECK_SECONDS,
    CLOCK_NAME,
    Cached,
    ClockCheck,
    ConfigurationCheck,
    DatabaseCheck,
    DiskCheck,
    KeysCheck,
)
from danube_pkg.services.health.readiness import ServerReadiness
from tests.edges.http.api import open_api
from tests.support.databases import open_new_database
from tests.support.git_worker import GIT_WORKER
from tests.support.moved_clock import MovedClock

ROOM = DiskState(100 * 1024**3, 200 * 1024**3, 1_000_000, 2_000_000)


class Setup:
    """A server's health over a real database; its disk and its database fail where the test says so."""

    def __init__(self, path: Path, database: Database) -> None:
        self.clock = MovedClock(1000.0)
        self.disk = ROOM
        self.disk_error: OSError | None = None
        self.database_error: StorageFull | None = None
        self.beside: tuple[Condition, ...] = ()
        self._row = SqliteServerState(database)
        self._store = SqliteConfiguration(database, lambda: "id")
        self.config = path / "config"
        self.config.mkdir()
        self.sync = self.new_sync()
        self.key_error: Permanent | None = None
        self.state_rows = SqliteServerState(database)
        self.heard = 0
        self.readiness = ServerReadiness(
            {
                Part.DISK: Cached(DiskCheck(self, str(path)), self.clock),
                Part.DATABASE: Cached(DatabaseCheck(self, str(path)), self.clock),
                Part.KEYS: Cached(KeysCheck(self), self.clock),
                Part.CLOCK: Cached(ClockCheck(self.state_rows, self.clock), self.clock),
                Part.CONFIGURATION: ConfigurationCheck(self.sync, self.clock),
                Part.LOGIN: self,
            },
            self.clock,
        )
        self.readiness.listen(self.hear)

    def new_sync(self) -> ConfigurationSync:
        """The sync of a server that has applied nothing."""
        repository = ConfigRepository(str(self.config), sync_interval=60)
        source = ConfigurationDirectory(repository, GitSources(self.config.parent / "repos", worker=GIT_WORKER))
        return ConfigurationSync(repository, source, self._store, AppliedConfiguration(), Timing(self.clock))

    def hear(self) -> None:
        self.heard += 1

    def check(self) -> None:
        if self.key_error is not None:
            raise self.key_error

    def room(self) -> DiskState:
        return self.disk

    async def state(self) -> DiskState:
        if self.disk_error is not None:
            raise self.disk_error
        return self.disk

    async def remember(self, name: str, value: str) -> None:
        if self.database_error is not None:
            raise self.database_error
        await self._row.remember(name, value)

    async def conditions(self) -> tuple[Condition, ...]:
        return self.beside

    async def found(self) -> list[str]:
        self.clock.move(CHECK_SECONDS)
        return [one.reference for one in await self.readiness.conditions()]


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    database = open_new_database(tmp_path / "danube.db")
    made = Setup(tmp_path, database)
    await made.sync.sync()
    yield made
    await database.close()


async def test_a_server_that_can_work_is_ready(setup: Setup) -> None:
    assert await setup.found() == []


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({"problem": os.strerror(errno.EROFS)}, "disk-unwritable"),
        ({"problem": os.strerror(errno.EIO)}, "disk-unwritable"),
        ({"free_bytes": NEEDED_BYTES - 1}, "disk-full"),
        ({"free_inodes": 3}, "disk-inodes"),
    ],
)
async def test_a_disk_that_cannot_be_used_is_named(setup: Setup, changes: dict[str, Any], reference: str) -> None:
    setup.disk = replace(ROOM, **changes)
    assert await setup.found() == [reference]
    (condition,) = await setup.readiness.conditions()
    assert str(changes.get("problem", "")) in condition.what
    assert condition.hint
    setup.disk = ROOM
    assert await setup.found() == []


async def test_a_file_system_without_a_number_of_inodes_is_ready(setup: Setup) -> None:
    setup.disk = replace(ROOM, free_inodes=0, total_inodes=0)
    assert await setup.found() == []


async def test_a_disk_or_a_database_that_fails_is_named(setup: Setup) -> None:
    setup.disk_error = OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    setup.database_error = StorageFull("database-disk-full", "no space left", hint="free space")
    setup.beside = (Condition("dex-not-running", "Dex does not run", ""),)
    assert await setup.found() == ["disk-unwritable", "database-unwritable", "dex-not-running"]


async def test_a_server_that_never_had_a_configuration_is_not_ready(setup: Setup) -> None:
    setup.config.rename(setup.config.with_name("gone"))
    fresh = setup.new_sync()
    await fresh.sync()
    (condition,) = await ConfigurationCheck(fresh, setup.clock).conditions()
    assert condition.reference == "configuration-missing"
    assert "there is no configuration directory" in condition.what


async def test_a_configuration_that_cannot_be_read_for_long_is_stale(setup: Setup) -> None:
    setup.config.rename(setup.config.with_name("gone"))
    setup.clock.move(STALE_SECONDS / 2)
    await setup.sync.sync()
    assert await setup.found() == []  # not for long yet
    setup.clock.move(STALE_SECONDS)
    await setup.sync.sync()
    assert await setup.found() == ["configuration-stale"]
    setup.config.with_name("gone").rename(setup.config)
    await setup.sync.sync()
    assert await setup.found() == []


async def test_many_requests_write_to_the_disk_once(setup: Setup) -> None:
    await setup.found()
    setup.disk = replace(ROOM, problem="broken")
    assert await setup.readiness.conditions() == []
    assert await setup.found() == ["disk-unwritable"]


async def test_a_state_says_since_when_and_changes_are_reported(setup: Setup) -> None:
    before = {one.part: one.since for one in await setup.readiness.parts()}
    setup.clock.move(100)
    setup.disk = replace(ROOM, free_bytes=NEEDED_BYTES - 1)
    failed = {one.part: one for one in await setup.readiness.parts()}
    assert not failed[Part.DISK].ok
    assert (failed[Part.DISK].since, failed[Part.KEYS].since) == (setup.clock.now(), before[Part.KEYS])
    setup.clock.move(100)
    setup.disk = replace(ROOM, free_bytes=NEEDED_BYTES - 1024**2)  # another sentence of the same state
    assert {one.part: one.since for one in await setup.readiness.parts()}[Part.DISK] == failed[Part.DISK].since
    assert setup.heard == 1
    setup.disk = ROOM
    await setup.found()
    assert setup.heard == 2


async def test_keys_that_are_gone_are_named_before_the_next_start(setup: Setup, tmp_path: Path) -> None:
    setup.key_error = Permanent("key-missing", "there is no key", hint="restore it")
    assert await setup.found() == ["keys-unusable"]
    keys = Keys.open(tmp_path / "keys")
    open_deploy_key(tmp_path / "keys")
    files = KeyDirectory(tmp_path / "keys", keys.fingerprint)
    files.check()
    with pytest.raises(Permanent, match="not the key with which this server was started"):
        KeyDirectory(tmp_path / "keys", "another").check()
    (tmp_path / "keys" / "git_deploy_key").unlink()
    with pytest.raises(Permanent, match="git_deploy_key"):
        files.check()


async def test_a_clock_that_was_set_back_is_named_and_accepted_in_time(setup: Setup) -> None:
    setup.clock.move(3600)
    assert await setup.found() == []
    await setup.state_rows.remember(CLOCK_NAME, str(setup.clock.now() + 1800))  # by a clock that was ahead
    assert await setup.found() == ["clock-behind"]
    setup.clock.move(CLOCK_ACCEPTED_SECONDS)
    assert await setup.found() == []  # the clock was ahead before: nothing is wrong any more


async def test_the_probe_writes_to_the_real_disk_and_leaves_nothing(tmp_path: Path) -> None:
    state = await DirectoryDisk(tmp_path).state()
    assert state.problem == ""
    assert 0 < state.free_bytes <= state.total_bytes
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(OSError, match="No such file"):
        await DirectoryDisk(tmp_path / "absent").state()


async def test_the_endpoint_names_what_is_wrong(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        answer = await api.anonymous.get("/health/ready")
        assert (answer.status, answer.json["status"]) == (503, "not-ready")
        assert "configuration-missing" in answer.json["conditions"]
        await api.local.post("/api/v1/config/sync")
        assert "configuration-missing" not in (await api.anonymous.get("/health/ready")).json["conditions"]


async def test_sentences_are_for_those_who_may_see_the_servers_state(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        api.team("core", global_admin=True)
        alice, bob = await api.caller("alice", core="admin"), await api.caller("bob")
        seen = {}
        for caller in (api.anonymous, bob, alice, api.local):
            parts = {one["part"]: one for one in (await caller.get("/health/ready")).json["parts"]}
            seen[caller.name] = bool(parts["configuration"]["reason"])
            assert parts["configuration"]["reference"] == "configuration-missing"
            assert parts["database"]["ok"]
        assert seen == {"anonymous": False, "bob": False, "alice": True, "local": True}
        wrong = await api.anonymous.get("/health/ready", authorization="Bearer dt1_wrong")
        assert wrong.status == 503
        shown = {one["part"]: one for one in (await alice.get("/api/v1/system")).json["subsystems"]}
        assert not shown["configuration"]["ok"]
        assert shown["keys"]["since"]
