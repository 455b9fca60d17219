"""Dex gets each configuration, also after its file could not be written."""

import asyncio
import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.store import SqliteAccess
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.identity.dex import Dex
from tests.support.databases import open_new_database
from tests.support.waiting import wait_until_async, wait_until_true


class Runner:
    """A stub of `DexRunner`: it keeps each configuration, or fails."""

    def __init__(self, failure: Exception) -> None:
        self.failure: Exception | None = failure
        self.taken: list[str] = []

    async def apply(self, configuration: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken.append(configuration)

    def restart(self) -> None: ...

    def last_failure(self) -> str:
        return ""


class Healthy:
    """A Dex that answers."""

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        return 200, [], b""


async def test_a_full_disk_is_a_condition_and_the_next_configuration_is_applied(tmp_path: Path) -> None:
    runner, database = (
        Runner(OSError(errno.ENOSPC, "No space left on device")),
        open_new_database(tmp_path / "danube.db"),
    )
    settings = DexSettings(external_url="https://danube.test", client_secret="a secret of the client")
    applied = AppliedConfiguration()
    dex = Dex(settings, SqliteAccess(database), runner, Healthy(), applied, Timing(SystemClock()))
    following = asyncio.create_task(dex.follow(), name="dex")
    try:
        await wait_until_true(dex.conditions, 10, "the full disk to be noticed")
        (condition,) = await dex.conditions()
        assert "No space left" in condition.what
        runner.failure = None
        applied.replace(State(), Applied())
        await wait_until_async(lambda: runner.taken, 10, "the configuration to be taken")
        assert await dex.conditions() == ()
    finally:
        await end_all(following)
        await database.close()


async def test_a_bug_does_not_end_the_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runner, database, applied = (
        Runner(ZeroDivisionError("a bug")),
        open_new_database(tmp_path / "danube.db"),
        AppliedConfiguration(),
    )
    settings = DexSettings(external_url="https://danube.test", client_secret="a secret of the client")
    dex = Dex(settings, SqliteAccess(database), runner, Healthy(), applied, Timing(SystemClock()))
    following = asyncio.create_task(dex.follow(), name="dex")
    try:
        await wait_until_async(lambda: "dex-configure-failed" in caplog.messages, 10, "the bug to be logged")
        runner.failure = None
        applied.replace(State(), Applied())
        await wait_until_async(lambda: runner.taken, 10, "the configuration to be applied")
    finally:
        await end_all(following)
        await database.close()
