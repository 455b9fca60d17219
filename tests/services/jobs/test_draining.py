"""A restored server is paused, says so, and is no longer so after a resume."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database, SqliteServerState
from danube_pkg.core.errors import Unavailable
from danube_pkg.services.jobs.draining import RESTORED, Draining


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SqliteServerState]:
    database = Database(tmp_path / "danube.db")
    yield SqliteServerState(database)
    await database.close()


async def test_a_restored_server_is_paused_over_restarts_until_it_is_resumed(state: SqliteServerState) -> None:
    for name, value in (("draining", "danube restore"), (RESTORED, "")):
        await state.remember(name, value)
    changes: list[bool] = []
    for _ in range(2):
        draining = Draining(state)
        await draining.recall()
        assert (draining.active, draining.is_restored) == (True, True)
        assert [one.reference for one in await draining.conditions()] == ["server-restored"]
        with pytest.raises(Unavailable, match="restored from a backup"):
            draining.check()
    draining.listen(lambda: changes.append(draining.is_restored))
    await draining.resume()
    assert changes == [False]
    assert (draining.active, await draining.conditions()) == (False, ())
    again = Draining(state)
    await again.recall()
    assert not again.is_restored


async def test_a_drained_server_was_not_restored(state: SqliteServerState) -> None:
    draining = Draining(state)
    await draining.drain("carol")
    assert (draining.active, draining.is_restored, await draining.conditions()) == (True, False, ())
    with pytest.raises(Unavailable, match="carol is draining it"):
        draining.check()
