"""A stream ends as soon as its caller loses the right to see it, not only at the next heartbeat."""

import asyncio

import pytest

from danube_pkg.core.identity.access import Scope
from danube_pkg.core.jobs.job import Job
from tests.edges.http.api import Api, Caller
from tests.edges.http.test_events import SECONDS, Stream, open_stream


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream in these tests is ended by a heartbeat."""
    monkeypatch.setattr("danube_pkg.edges.http.resources.events.HEARTBEAT_SECONDS", 3600.0)


@pytest.fixture
async def job(api: Api) -> Job:
    api.team("core")
    api.team("others")
    api.pipeline("app", owner="core")
    api.pipeline("other", owner="others")
    return await api.open_job("app")


def notify_of_changed_rights(api: Api) -> None:
    """Notify the server of changed rights, as applying a configuration does."""
    api.services.identity.access.changed()


async def end_of(stream: Stream) -> None:
    async with asyncio.timeout(SECONDS):
        while not stream.response.content.at_eof():
            await stream.response.content.readany()


async def token_id(caller: Caller) -> str:
    (token,) = (await caller.get("/api/v1/tokens")).json["tokens"]
    return str(token["id"])


async def test_a_user_who_leaves_a_team_sees_no_more_of_its_jobs(api: Api, job: Job) -> None:
    alice = await api.caller("alice", core="admin", others="member")
    path = f"/api/v1/jobs/{job.id}/events"
    async with open_stream(alice, path) as one, open_stream(alice, "/api/v1/events") as lists:
        await one.next()
        await lists.next()
        api.write("DELETE FROM team_members WHERE team_id = 'core'")
        notify_of_changed_rights(api)
        await end_of(one)
        await api.open_job("app")
        mine = await api.open_job("other")
        assert (await lists.next()).data["id"] == mine.id


async def test_a_user_who_joins_a_team_sees_its_jobs_in_an_open_list(api: Api, job: Job) -> None:
    alice = await api.caller("alice", core="admin")
    async with open_stream(alice, "/api/v1/events") as lists:
        await lists.next()
        api.write("INSERT INTO team_members VALUES ('others', 'alice', 'member')")
        notify_of_changed_rights(api)
        assert (await alice.get("/api/v1/me")).json["teams"] == {"core": "admin", "others": "member"}
        new = await api.open_job("other")
        assert (await lists.next()).data["id"] == new.id


async def test_a_revoked_token_ends_only_its_own_streams(api: Api, job: Job) -> None:
    alice, bob = await api.caller("alice", core="admin"), await api.caller("bob", core="member")
    path = f"/api/v1/jobs/{job.id}/events"
    async with (
        open_stream(alice, path) as one,
        open_stream(alice, "/api/v1/events") as lists,
        open_stream(bob, path) as other,
    ):
        for stream in (one, lists, other):
            await stream.next()
        assert (await alice.send("DELETE", f"/api/v1/tokens/{await token_id(alice)}")).status == 204
        await end_of(one)
        await end_of(lists)
        assert (await api.local.post(f"/api/v1/jobs/{job.id}/cancel")).status == 202
        assert (await other.until("end"))[-1].data == {"status": "cancelled"}


@pytest.mark.parametrize("how", ["logout", "ended elsewhere"])
async def test_a_session_that_ends_ends_its_streams(api: Api, job: Job, how: str) -> None:
    api.user("alice", core="admin")
    alice, elsewhere = await api.with_session("alice"), await api.with_session("alice")
    async with (
        open_stream(alice, f"/api/v1/jobs/{job.id}/events") as one,
        open_stream(elsewhere, "/api/v1/events") as kept,
    ):
        await one.next()
        await kept.next()
        if how == "logout":
            await alice.post("/auth/logout")
        else:
            sessions = (await alice.get("/api/v1/sessions")).json["sessions"]
            (own,) = [session["id"] for session in sessions if session["current"]]
            assert (await elsewhere.send("DELETE", f"/api/v1/sessions/{own}")).status == 204
        await end_of(one)
        new = await api.open_job("app")
        assert (await kept.next()).data["id"] == new.id


async def test_a_token_with_one_scope_keeps_its_stream(api: Api, job: Job) -> None:
    await api.caller("alice", core="admin")
    reader = await api.with_token("alice", Scope.READ)
    async with open_stream(reader, "/api/v1/events") as lists:
        await lists.next()
        notify_of_changed_rights(api)
        new = await api.open_job("app")
        assert (await lists.next()).data["id"] == new.id
