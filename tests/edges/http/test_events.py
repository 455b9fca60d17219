"""Live events: exact continuation, slow viewers, and no events that the caller may not see."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest

from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.logs.index import RECORD_BYTES
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.edges.http.resources import job_stream as broadcast
from tests.edges.http.api import Api, Caller
from tests.support.waiting import wait_until_async

FOLLOWERS = 500
PART_BYTES = 400
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    name: str
    data: Any
    id: str


class Stream:
    """An open event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Event:
        """The next event; heartbeats are skipped."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while True:
                line = (await self.response.content.readuntil(b"\n")).decode().rstrip("\n")
                name, _, value = line.partition(": ")
                if line and name:
                    fields[name] = value
                elif "event" in fields:
                    return Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))

    async def until(self, name: str) -> list[Event]:
        """All events up to and including the next one with that name."""
        found = [await self.next()]
        while found[-1].name != name:
            found.append(await self.next())
        return found


@asynccontextmanager
async def open_stream(caller: Caller, path: str, **headers: str) -> AsyncIterator[Stream]:
    connector = aiohttp.UnixConnector(str(caller.socket)) if caller.socket else aiohttp.TCPConnector()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(connector=connector, read_bufsize=2**20) as session,
        session.get(caller.address + path, headers={**caller.headers, **named}) as response,
    ):
        assert response.status == 200, await response.read()
        yield Stream(response)


def text_of(events: list[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.name == "log")


@pytest.fixture
async def job(api: Api) -> Job:
    api.team("core")
    api.pipeline("app", owner="core")
    return await api.open_job("app")


class GrowingLog:
    """A job's log that grows as the test prints."""

    def __init__(self, api: Api, job: Job, log: JobLog) -> None:
        self.api = api
        self.job = job
        self.log = log
        self.output = log.step_output(1, 1)
        self.offset = 0

    @classmethod
    async def begin(cls, api: Api, job: Job) -> "GrowingLog":
        """Open the log as the engine does, so that its followers notice."""
        engine = api.parts.jobs.engine
        return cls(api, job, await api.parts.jobs.work.resources.log(engine.active_job(job.id)))

    def print(self, data: bytes) -> None:
        self.output.feed(self.offset, data)
        self.offset += len(data)

    async def end(self) -> None:
        """Close the log and cancel the job."""
        await self.log.close()
        await self.api.parts.jobs.engine.active_job(self.job.id).apply(ev.CancelRequested("a test"))


async def test_a_stream_begins_with_a_snapshot_and_ends_with_the_job(api: Api, job: Job) -> None:
    growing = await GrowingLog.begin(api, job)
    growing.print(b"before\n")
    async with open_stream(api.local, f"/api/v1/jobs/{job.id}/events") as stream:
        first = await stream.next()
        assert (first.name, first.data["id"], first.data["steps"]) == ("snapshot", job.id, [])
        assert (await stream.next()).data["text"] == "before\n"
        growing.print(b"after\n")
        event = await stream.next()
        assert (event.data["text"], event.id) == ("after\n", "13")
        await growing.end()
        assert [one.name for one in await stream.until("end")][-2:] == ["job", "end"]


async def test_a_client_that_reconnects_continues_exactly(api: Api, job: Job) -> None:
    growing = await GrowingLog.begin(api, job)
    whole = "".join(f"line {n} äöü €\n" for n in range(500))
    data = whole.encode()
    received, last = "", ""
    for at in range(0, len(data), 997):  # cuts some characters in two
        growing.print(data[at : at + 997])
        async with open_stream(
            api.local, f"/api/v1/jobs/{job.id}/events", **({"last_event_id": last} if last else {})
        ) as stream:
            while not last or int(last) < growing.log.size_bytes - 3:
                event = await stream.next()
                if event.name == "log":
                    received, last = received + event.data["text"], event.id
    async with open_stream(api.local, f"/api/v1/jobs/{job.id}/events", last_event_id=last) as stream:
        await growing.end()
        received += text_of(await stream.until("end"))
    assert received == whole


async def test_five_hundred_followers_cost_one_read_of_the_file(
    api: Api, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = await GrowingLog.begin(api, job)
    reads: list[int] = []
    real = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        if size != RECORD_BYTES:  # index records have this size
            reads.append(offset)
        return real(descriptor, size, offset)

    path = f"/api/v1/jobs/{job.id}/events"
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Semaphore(0)

        async def follow() -> str:
            async with open_stream(api.local, path) as stream:
                await stream.next()
                ready.release()
                return text_of(await stream.until("end"))

        followers = [group.create_task(follow(), name=f"follower {n}") for n in range(FOLLOWERS)]
        for _ in range(FOLLOWERS):
            await ready.acquire()
        monkeypatch.setattr(os, "pread", counted)
        whole = b"".join(b"line %d\n" % n for n in range(200))
        for part, at in enumerate(range(0, len(whole), PART_BYTES)):
            growing.print(whole[at : at + PART_BYTES])
            await wait_until_async(partial(_longer_than, reads, part), 10, "the part to be read")
        await growing.end()
    assert {follower.result() for follower in followers} == {whole.decode()}
    assert len(reads) == -(-len(whole) // PART_BYTES), "each part is read once for all followers"


async def test_a_slow_reader_delays_no_other(api: Api, job: Job) -> None:
    """The slow one is detached and catches up by itself without losing anything."""
    growing = await GrowingLog.begin(api, job)
    path = f"/api/v1/jobs/{job.id}/events"
    line = b"x" * 999 + b"\n"
    async with open_stream(api.local, path) as slow, open_stream(api.local, path) as quick:
        await slow.next()
        await quick.next()
        count = 0
        for _ in range(16):
            growing.print(line * 1024)
            while count < growing.log.size_bytes:
                event = await quick.next()
                count += len(event.data["text"]) if event.name == "log" else 0
        await growing.end()
        await quick.until("end")
        received = text_of(await slow.until("end"))
    assert len(received) == growing.offset
    assert growing.offset > 8 * broadcast.SLOW_BYTES


async def test_a_failed_broadcast_ends_the_stream_and_the_next_one_continues(
    api: Api, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = await GrowingLog.begin(api, job)
    path = f"/api/v1/jobs/{job.id}/events"

    def fail(*_: object) -> None:
        raise OSError("the log cannot be read")

    async with open_stream(api.local, path) as stream:
        await stream.next()
        with monkeypatch.context() as patch:
            patch.setattr(broadcast.Broadcast, "_log_part", fail)
            growing.print(b"after\n")
            async with asyncio.timeout(SECONDS):
                assert b"event: end" not in await stream.response.content.read()
    async with open_stream(api.local, path) as stream:
        await growing.end()
        assert text_of(await stream.until("end")) == "after\n"


async def test_lists_have_only_jobs_that_the_caller_may_see(api: Api, job: Job) -> None:
    api.team("others")
    api.pipeline("other", owner="others")
    alice = await api.caller("alice", core="admin")
    async with open_stream(alice, "/api/v1/events") as stream:
        first = await stream.next()
        assert (first.name, [one["id"] for one in first.data["jobs"]]) == ("snapshot", [job.id])
        await api.open_job("other")
        mine = await api.open_job("app")
        event = await stream.next()
        assert (event.name, event.data["id"]) == ("job", mine.id)


async def test_a_list_can_be_limited_to_one_pipeline(api: Api, job: Job) -> None:
    api.pipeline("other")
    async with open_stream(api.local, "/api/v1/events?pipeline=other") as stream:
        assert (await stream.next()).data["jobs"] == []
        await api.open_job("app")
        other = await api.open_job("other")
        assert (await stream.next()).data["id"] == other.id


async def test_a_heartbeat_ends_the_stream_of_a_removed_user(
    api: Api, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danube_pkg.edges.http.resources.events.HEARTBEAT_SECONDS", 0.05)
    alice = await api.caller("alice", core="admin")
    async with (
        open_stream(alice, f"/api/v1/jobs/{job.id}/events") as one,
        open_stream(alice, "/api/v1/events") as lists,
    ):
        await one.next()
        await lists.next()
        api.write("UPDATE users SET removed_at = 1")
        for stream in (one, lists):
            async with asyncio.timeout(SECONDS):
                while not stream.response.content.at_eof():
                    await stream.response.content.readany()


async def test_a_silent_stream_has_heartbeats(api: Api, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them a proxy or the client would close the connection."""
    monkeypatch.setattr("danube_pkg.edges.http.resources.events.HEARTBEAT_SECONDS", 0.05)
    for path in (f"/api/v1/jobs/{job.id}/events", "/api/v1/events"):
        async with open_stream(api.local, path) as stream:
            await stream.next()
            async with asyncio.timeout(SECONDS):
                assert await stream.response.content.readuntil(b"\n") == b": heartbeat\n"


async def test_the_finished_log_of_a_closed_job_is_streamed_whole(api: Api, job: Job) -> None:
    closed = await api.job("app")
    data = os.urandom(300_000).hex().encode() + b"\n"
    await api.log(closed.id, data)
    async with open_stream(api.local, f"/api/v1/jobs/{closed.id}/events") as stream:
        assert text_of(await stream.until("end")) == data.decode()
    async with open_stream(api.local, f"/api/v1/jobs/{closed.id}/events?from={len(data)}") as stream:
        assert text_of(await stream.until("end")) == ""


def _longer_than(items: list[int], count: int) -> bool:
    return len(items) > count
