"""Dex keeps in step with the configuration, whatever its file's disk does meanwhile."""

import asyncio
import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.store import Database, SqliteAccess
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.services.identity.dex import Dex
from tests.support.waiting import wait_until_async, wait_until_true


class Runner:
    """Takes what it is given once its disk has room."""

    def __init__(self) -> None:
        self.is_full = True
        self.taken: list[str] = []

    async def apply(self, configuration: str) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken.append(configuration)

    def trouble(self) -> str:
        return ""


class Healthy:
    """A Dex that answers."""

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        return 200, [], b""


async def test_a_full_disk_is_a_condition_and_the_next_configuration_is_taken(tmp_path: Path) -> None:
    runner, database = Runner(), Database(tmp_path / "danube.db")
    settings = DexSettings(external_url="https://danube.test", client_secret="a secret of the client")
    applied = AppliedConfiguration()
    dex = Dex(settings, SqliteAccess(database), runner, Healthy(), applied, Timing(SystemClock()))
    following = asyncio.create_task(dex.follow(), name="dex")
    try:
        await wait_until_true(dex.conditions, 10, "the full disk to be noticed")
        (condition,) = await dex.conditions()
        assert "No space left" in condition.what
        runner.is_full = False
        applied.replace(State(), Applied())
        await wait_until_async(lambda: runner.taken, 10, "the configuration to be taken")
        assert await dex.conditions() == ()
    finally:
        following.cancel()
        await database.close()
