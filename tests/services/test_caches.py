"""The store of caches: its limits, and which contents stay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.blobs.content import ContentDirectory
from danube_pkg.adapters.store import SqliteCaches, SqliteCacheUses
from danube_pkg.core.caches.cache import CacheBounds, CacheRequest
from danube_pkg.core.errors import NotFound, TooLarge
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from danube_pkg.services.caches import Caches, CacheStorage
from tests.services.stores import UnrulyJobs, a_job, open_database

REQUEST = CacheRequest(1, "pip", "k", ("deps",))
MAIN = a_job("01main", trigger=Trigger("webhook", "me", Revision("1" * 40, "refs/heads/main", branch="main")))
TOPIC = a_job("02topic", trigger=Trigger("webhook", "me", Revision("2" * 40, "refs/heads/topic", branch="topic")))
FORK = a_job("03fork", trigger=Trigger("webhook", "me", Revision("3" * 40), pull_request={"number": 5}))


class Small:
    """The service with room for a hundred bytes of each pipeline."""

    def __init__(self, path: Path, caches: Caches) -> None:
        self.path = path
        self.caches = caches

    async def keep(self, job: Job, key: str, size: int) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(size)

        await self.caches.keep(job, replace(REQUEST, key=key), "family", "host", chunks(), lambda: None)

    async def keys(self) -> str:
        return "".join(sorted(one.key for one in await self.caches.list(MAIN.pipeline)))

    def files(self) -> int:
        return len([one for one in self.path.rglob("*") if one.is_file()])


@pytest_asyncio.fixture
async def small(tmp_path: Path) -> AsyncIterator[Small]:
    ids = iter(f"cache-{number:03}" for number in range(1000))
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([MAIN, TOPIC, FORK])
        storage = CacheStorage(SqliteCaches(database), ContentDirectory(tmp_path / "caches", "cache"))
        uses = SqliteCacheUses(database)
        caches = Caches(storage, uses, SystemClock(), lambda: next(ids), lambda: CacheBounds(100))
        yield Small(tmp_path / "caches", caches)


async def no_branch() -> str:
    return ""


async def test_the_least_recently_used_make_room_and_a_fork_displaces_no_others(small: Small) -> None:
    await small.keep(MAIN, "a", 40)
    await small.keep(MAIN, "b", 41)
    with pytest.raises(TooLarge, match="removes only caches of proposals"):
        await small.keep(FORK, "x", 50)
    await small.keep(FORK, "c", 19)
    await small.keep(FORK, "d", 18)
    assert await small.keys() == "abd"
    found = await small.caches.find(MAIN, replace(REQUEST, key="a"), "family", no_branch)
    assert found is not None
    async for _ in await small.caches.use(MAIN, REQUEST, found):
        assert await small.keys() == "abd"
    await small.keep(MAIN, "e", 30)
    assert await small.keys() == "ae"
    with pytest.raises(TooLarge, match="is larger than 100 bytes"):
        await small.keep(MAIN, "f", 101)
    assert (await small.keys(), small.files()) == ("ae", 2)
    (first, second) = await small.caches.list(MAIN.pipeline)
    assert {first.key: first.hits, second.key: second.hits} == {"a": 1, "e": 0}


async def test_removals_leave_contents_that_others_have(small: Small) -> None:
    await small.keep(MAIN, "k", 9)
    await small.keep(TOPIC, "k", 9)
    await small.keep(MAIN, "x", 8)
    first, *_ = await small.caches.list(MAIN.pipeline)
    assert [one.id for one in await small.caches.remove(MAIN.pipeline, first.id)] == [first.id]
    with pytest.raises(NotFound):
        await small.caches.remove("another", first.id)
    assert small.files() == 1
    assert await small.caches.reap(3600, 0) == []
    assert len(await small.caches.due(-1, 0)) == 2
    assert len(await small.caches.reap(-1, 0)) == 2
    assert small.files() == 0


async def test_bytes_of_a_killed_server_are_removed_once_they_are_old(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    await small.keep(MAIN, "a", 5)
    lost = small.path / "ab" / ("ab" * 32)
    lost.parent.mkdir(exist_ok=True)
    lost.write_bytes(b"x")
    await small.caches.reap(3600, 0)
    assert small.files() == 2
    monkeypatch.setattr("danube_pkg.services.caches.UNNAMED_SECONDS", -1.0)
    await small.caches.reap(3600, 0)
    assert (lost.exists(), small.files(), await small.keys()) == (False, 1, "a")
