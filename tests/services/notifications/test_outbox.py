"""The outbox on a clock that the test moves: in order, with backoff, through outages, and without delaying jobs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.core.configuration.notifications import Occasion, SlackNotification
from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import NotFound, Permanent, Throttled, Unauthenticated, Unavailable
from danube_pkg.core.notifications.commit_statuses import commit_status
from danube_pkg.core.notifications.outbox import (
    GIVE_UP_SECONDS,
    OutboxEntry,
    OutboxKind,
    longest_wait,
)
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.git_authentication import HttpsToken
from danube_pkg.core.triggers.webhooks.events import (
    PullRequest,
    PullRequestChange,
    Push,
    TagPush,
    WebhookRepository,
)
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import rerun
from danube_pkg.services.notifications.outbox import PER_CHANNEL, SENDERS
from tests.support.trigger_server import (
    REPOSITORY,
    SHA,
    TriggerServer,
    a_pipeline,
    delivering,
    eventually,
    open_trigger_server,
)

PUSH = Push(REPOSITORY, "main", SHA, "alice", "fix it")
PULL = PullRequest(
    REPOSITORY,
    7,
    PullRequestChange.OPENED,
    SHA,
    "refs/pull/7/head",
    "topic",
    "main",
    fork=False,
    actor="bob",
    message="m",
)
FORGE = {
    "git_authentication": (HttpsToken("forge", match_patterns=("git.example.org/*",), token_secret="t", forge="gitea"),)
}
APP = a_pipeline("app", TriggerKind.PUSH)


class Receiver:
    """Keeps the statuses that arrive. refuse: the error for an entry, None to accept it."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.tries = 0
        self.refuse: Callable[[OutboxEntry], Exception | None] = lambda entry: None
        self.gate: asyncio.Event | None = None
        self.at_once = self.most_at_once = 0

    async def __call__(self, entry: OutboxEntry) -> None:
        self.tries += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if error := self.refuse(entry):
                raise error
            self.got.append(str(entry.notification.status))
        finally:
            self.at_once -= 1


def always(error: Exception) -> Callable[[OutboxEntry], Exception | None]:
    return lambda entry: error


async def open_count(danube: TriggerServer) -> int:
    return int(danube.database.read("SELECT count(*) AS n FROM outbox WHERE done_at IS NULL")[0]["n"])


async def all_done(danube: TriggerServer, *, moving: bool = False) -> None:
    async def condition() -> bool:
        danube.clock.move(5 if moving else 0)
        return await open_count(danube) == 0

    await eventually(condition, "the outbox to be empty")


async def outcomes(danube: TriggerServer) -> list[str]:
    return [row["outcome"] for row in danube.database.read("SELECT outcome FROM outbox ORDER BY id")]


async def tried(receiver: Receiver, count: int, moving: TriggerServer | None = None) -> None:
    """Wait for that many tries. moving: the server whose clock advances meanwhile."""

    async def condition() -> bool:
        if moving is not None:
            moving.clock.move(5)
        return receiver.tries >= count and receiver.at_once == 0

    await eventually(condition, f"{count} tries")


async def test_each_state_of_a_job_is_delivered_in_order(tmp_path: Path) -> None:
    receiver = Receiver()
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await all_done(danube)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")
        await all_done(danube)
        assert receiver.got == ["pending", "cancelled"]


async def test_after_an_outage_only_the_newest_status_is_delivered(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.refuse = always(Unavailable("forge-unreachable", "it answered 502"))
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}) as outbox:
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")
        for count in range(2, 6):
            await tried(receiver, count, danube)
        assert [one.reference for one in (await outbox.conditions())] == ["delivery-failing"]
        receiver.refuse = lambda entry: None
        await all_done(danube, moving=True)
        assert receiver.got == ["cancelled"]
        assert await outcomes(danube) == ["superseded", "delivered"]
        assert await outbox.conditions() == []


def test_pauses_grow_up_to_a_cap() -> None:
    assert [longest_wait(attempts) for attempts in (0, 1, 2, 8, 9, 1000)] == [1, 2, 4, 256, 300, 300]


async def test_a_delivery_is_given_up_after_a_day(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.refuse = always(Unavailable("forge-unreachable", "it answered 502"))
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)
        danube.clock.move(GIVE_UP_SECONDS + 1)
        await all_done(danube, moving=True)
        assert await outcomes(danube) == ["given up: it answered 502"]


async def test_a_wrong_token_is_a_condition_and_after_the_fix_the_same_status_arrives(tmp_path: Path) -> None:
    receiver = Receiver()
    refusal = Unauthenticated("forge-refused", "the forge refused the credential", hint="set it again")
    receiver.refuse = always(refusal)
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}) as outbox:
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)

        async def is_shown() -> bool:
            return bool(await outbox.conditions())

        await eventually(is_shown, "the condition")
        (condition,) = await outbox.conditions()
        assert condition.what.startswith(
            "commit statuses of https://git.example.org/team/app to forge https://git.example.org/api/v1 have been "
            "failing since 2027-01-15 12:00 UTC: the forge refused the credential; the next try is at 2027-01-15 12:0"
        )
        assert condition.hint == "set it again"
        receiver.refuse = lambda entry: None
        await all_done(danube, moving=True)
        assert (receiver.got, (await outbox.conditions())) == (["pending"], [])


async def test_a_forges_rate_limit_pauses_the_whole_channel(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.refuse = always(Throttled("forge-throttled", "slow down", retry_seconds=120))
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)

        async def is_kept() -> bool:
            return bool(danube.database.read("SELECT 1 FROM outbox WHERE attempts = 1"))

        await eventually(is_kept, "the pause")
        receiver.refuse = lambda entry: None
        for number in range(5):
            await danube.receive(replace(PUSH, commit_sha=f"{number}" * 40), f"more-{number}")
            danube.clock.move(20)
        assert receiver.tries == 1, "nothing was sent during the pause"
        await all_done(danube, moving=True)
        assert receiver.got == ["pending"] * 6


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Permanent("forge-refused", "no such commit"), "refused: no such commit"),
        (NotFound("forge-unknown", "no forge is known"), "no receiver: no forge is known"),
    ],
)
async def test_a_permanent_refusal_is_not_retried(tmp_path: Path, error: Exception, outcome: str) -> None:
    receiver = Receiver()
    receiver.refuse = always(error)
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        await all_done(danube)
        assert await outcomes(danube) == [outcome]


async def test_a_hanging_forge_delays_neither_jobs_nor_other_receivers(tmp_path: Path) -> None:
    forge, chat = Receiver(), Receiver()
    forge.gate = asyncio.Event()
    notify = SlackNotification("chat-url", (Occasion.ALWAYS,))
    pipelines = [a_pipeline("app", TriggerKind.PUSH, notifications=(notify,))]
    senders = {OutboxKind.STATUS: forge, OutboxKind.SLACK: chat}
    async with open_trigger_server(tmp_path) as danube, delivering(danube, senders):
        await danube.configure(*pipelines, **FORGE)
        for number in range(3 * SENDERS):
            await danube.receive(replace(PUSH, commit_sha=f"{number:040}"), f"d{number}")
        for job in await danube.jobs():
            await danube.engine.cancel(job.id, "alice")

        async def is_notified() -> bool:
            return len(chat.got) == 3 * SENDERS

        await eventually(is_notified, "the chat to get all")
        assert chat.most_at_once == 1, "one receiver gets one after the other"
        assert forge.at_once <= PER_CHANNEL
        forge.gate.set()
        await all_done(danube)
        assert sorted(forge.got) == ["cancelled"] * 3 * SENDERS + ["pending"] * forge.got.count("pending")


async def test_the_next_server_delivers_what_was_not_delivered(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
    receiver = Receiver()
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await all_done(danube)
        assert receiver.got == ["pending"]


async def test_a_bug_in_a_sender_does_not_stop_the_others(tmp_path: Path) -> None:
    receiver, chat = Receiver(), Receiver()
    receiver.refuse = always(ZeroDivisionError("a bug"))
    notify = SlackNotification("chat-url", (Occasion.ALWAYS,))
    async with (
        open_trigger_server(tmp_path) as danube,
        delivering(danube, {OutboxKind.STATUS: receiver, OutboxKind.SLACK: chat}),
    ):
        await danube.configure(a_pipeline("app", TriggerKind.PUSH, notifications=(notify,)), **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")

        async def is_notified() -> bool:
            return chat.got == ["cancelled"]

        await eventually(is_notified, "the chat to get it")


async def test_an_unreadable_outbox_is_logged_once_and_delivered_when_it_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        (row,) = danube.database.read("SELECT address FROM outbox")
        await danube.database.write(lambda connection: connection.execute("UPDATE outbox SET address = 'x'"))
        async with delivering(danube, {OutboxKind.STATUS: receiver}):

            async def has_failed_again() -> bool:
                danube.clock.move(5)
                return "outbox-read-failed" in caplog.messages and danube.clock.now() > begin + 100

            begin = danube.clock.now()
            await eventually(has_failed_again, "the failures")
            await danube.database.write(
                lambda connection: connection.execute("UPDATE outbox SET address = ?", (row["address"],))
            )
            await all_done(danube, moving=True)
        assert receiver.got == ["pending"]
    caplog_errors = [one for one in caplog.records if one.getMessage() == "outbox-read-failed"]
    assert len([one for one in caplog_errors if one.levelname == "ERROR"]) == 1


async def test_a_pull_requests_status_is_not_overwritten_by_a_pushs_or_another_requests(tmp_path: Path) -> None:
    sent: list[tuple[str, str]] = []

    async def receive(entry: OutboxEntry) -> None:
        sent.append((commit_status(entry.notification, "").context, str(entry.notification.status)))

    every = a_pipeline("app", TriggerKind.PUSH, TriggerKind.PULL_REQUEST, TriggerKind.TAG)
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receive}):
        await danube.configure(every, **FORGE)
        danube.sources.heads["refs/heads/topic"] = SHA
        await danube.receive(PUSH)
        await danube.receive(TagPush(REPOSITORY, "v1", SHA, "alice"), "d2")
        for number in (7, 8):
            await danube.receive(replace(PULL, number=number, ref=f"refs/pull/{number}/head"), f"pull {number}")
        await all_done(danube)
        push, _, seven, eight = await danube.jobs()
        await danube.engine.cancel(seven.id, "alice")
        await danube.engine.cancel(push.id, "alice", Reason.SUPERSEDED)
        await all_done(danube)
        assert dict(sent) == {
            "danube/app/push": "cancelled",
            "danube/app/tag": "pending",
            "danube/app/pr": "cancelled",
        }
        again = await rerun(danube.engine, seven, "alice")
        await all_done(danube)
        assert dict(sent)["danube/app/pr"] == "pending", "of the newest job of request 7"
        await danube.engine.cancel(eight.id, "alice")
        await all_done(danube)
        assert dict(sent)["danube/app/pr"] == "cancelled", "though the newest job of request 7 waits"
        assert again.trigger.pull_request is not None


async def test_a_failing_receiver_is_shown_until_it_works_or_the_configuration_drops_it(tmp_path: Path) -> None:
    receiver = Receiver()
    other = "https://git.example.org/team/other"
    receiver.refuse = lambda entry: (
        Unavailable("forge-unreachable", "it cannot be reached", hint="it is retried")
        if entry.notification.pipeline == "app"
        else None
    )
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}) as outbox:
        await danube.configure(APP, a_pipeline("other", TriggerKind.PUSH, repository=other), **FORGE)
        await danube.receive(PUSH)
        await tried(receiver, 1)
        await danube.receive(replace(PUSH, repository=WebhookRepository("team/other", (other,))), "d2")

        async def other_arrived() -> bool:
            return receiver.got == ["pending"] and len(await outbox.conditions()) == 1

        await eventually(other_arrived, "the status of the other repository")
        (condition,) = await outbox.conditions()
        assert "of https://git.example.org/team/app to" in condition.what
        assert "git_authentication" in condition.hint
        await danube.configure(APP)
        assert await outbox.conditions() == []


async def test_a_clock_that_is_set_back_delays_no_delivery(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.refuse = always(Throttled("forge-throttled", "it is rate-limiting", retry_seconds=3600.0))
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}):
        await danube.configure(APP, **FORGE)
        now = danube.clock.now()
        danube.clock.move(30 * 86400)
        await danube.receive(PUSH)
        await tried(receiver, 1)
        receiver.refuse = lambda entry: None
        danube.clock.move_to(now)
        danube.observer.outbox_added.set()
        await all_done(danube)
        assert receiver.got == ["pending"]


async def test_a_restored_server_sends_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    """The original may have sent it, or may still do so."""
    receiver = Receiver()
    async with open_trigger_server(tmp_path) as danube, delivering(danube, {OutboxKind.STATUS: receiver}) as outbox:
        silent = [True]
        outbox._is_silent = lambda: silent[0]
        await danube.configure(APP, **FORGE)
        await danube.receive(PUSH)
        assert await outbox._start_due(None) is None  # type: ignore[arg-type]
        assert (receiver.tries, await open_count(danube)) == (0, 1)
        silent.clear()
        silent.append(False)
        danube.observer.outbox_added.set()
        await all_done(danube)
        assert receiver.got == ["pending"]
