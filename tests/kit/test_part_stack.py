"""A stack of named parts: which one a stop waits for is reported while it waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from danube_pkg.kit import part_stack
from danube_pkg.kit.part_stack import PartStack
from tests.support.waiting import wait_until_async


class Parts:
    """Parts that close at once, or once they are released. events: what happened to them. reports: the names that were
    waited for."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.reports: list[str] = []
        self.released = asyncio.Event()

    @asynccontextmanager
    async def open_database(self) -> AsyncIterator[str]:
        try:
            yield "a database"
        finally:
            self.events.append("database closed")

    @asynccontextmanager
    async def open_jobs(self) -> AsyncIterator[None]:
        yield
        await self.released.wait()
        self.events.append("jobs closed")

    @asynccontextmanager
    async def open_http(self, *, fails: bool = False) -> AsyncIterator[None]:
        if fails:
            raise OSError("cannot be opened")
        yield
        self.events.append("http closed")

    def on_wait(self, name: str, seconds: float) -> None:
        self.reports.append(name)


async def test_a_part_that_does_not_close_is_named_while_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_stack, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(part_stack, "NOTED_SECONDS", 0.01)
    parts = Parts()
    stack = PartStack(parts.on_wait)

    async def use() -> None:
        async with stack:
            assert await stack.open(parts.open_database()) == "a database"
            await stack.open(parts.open_jobs())
            await stack.open(parts.open_http())

    using = asyncio.create_task(use(), name="use")
    await wait_until_async(lambda: parts.reports.count("jobs") >= 2, 10, "two reports")
    assert parts.events == ["http closed"]
    parts.released.set()
    await using
    assert parts.events == ["http closed", "jobs closed", "database closed"]
    assert "jobs" in stack.closed
    assert set(parts.reports) == {"jobs"}


async def test_a_part_that_cannot_be_opened_closes_those_before_it() -> None:
    parts = Parts()

    async def use() -> None:
        async with PartStack(parts.on_wait) as stack:
            await stack.open(parts.open_database())
            await stack.open(parts.open_http(fails=True))

    with pytest.raises(OSError, match="cannot be opened"):
        await use()
    assert (parts.events, parts.reports) == (["database closed"], [])
