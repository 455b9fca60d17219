"""The list of deliveries: which caller sees which entries, filters, pages."""

from danube_pkg.adapters.store import SqliteInbox
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    InboxEntry,
    InboxEvent,
    PipelineOutcome,
    Result,
    ScheduleDue,
)
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.core.triggers.webhooks.events import Push, WebhookRepository
from tests.edges.http.api import COMMIT, Api, Caller

APP = WebhookRepository("team/app", ("https://git.example.org/team/app.git",))
OTHER = WebhookRepository("Team/Other", ("https://git.example.org/team/other.git",))
NIGHT = 1_800_000_000.0


async def add_settled(
    api: Api, source: EntrySource, key: str, event: InboxEvent, *outcomes: PipelineOutcome, note: str = ""
) -> int:
    """Store an entry and settle it; pipelines with the outcome STARTED get a job. Returns the entry's id."""
    inbox = SqliteInbox(api.parts.store.database)
    await inbox.receive(InboxEntry(source, key, event, NIGHT))
    entry = await inbox.entry(source, key)
    assert entry is not None
    starts = []
    for one in outcomes:
        pipeline = await api.parts.store.pipelines.load_pipeline(one.pipeline)
        if one.result is Result.STARTED and pipeline is not None:
            starts.append((pipeline, Trigger("webhook", "alice", Revision(COMMIT), origin=entry.origin)))
    await api.parts.jobs.engine.submit_all(starts, NO_FOLLOW_UP, Settlement(entry, NIGHT + 1, outcomes, note))
    return entry.id


async def test_callers_see_entries_and_outcomes_of_their_own_pipelines(api: Api) -> None:
    api.team("apps")
    api.team("others")
    api.team("operators", global_admin=True)
    for name, owner in (("app", "apps"), ("docs", "apps"), ("secret", "others")):
        api.pipeline(name, owner=owner)
    alice = await api.caller("alice", apps="member")
    root = await api.caller("root", operators="member")
    push = Push(APP, "main", COMMIT, "alice")
    first = await add_settled(
        api,
        EntrySource.GITHUB,
        "d1",
        push,
        PipelineOutcome("app", Result.STARTED),
        PipelineOutcome("docs", Result.SKIPPED, "none of the 3 changed files matches its paths"),
        PipelineOutcome("secret", Result.NOT_MATCHED, "its triggers do not include push"),
    )
    second = await add_settled(
        api, EntrySource.GITHUB, "d2", Push(OTHER, "main", COMMIT, "bob"), PipelineOutcome("secret", Result.STARTED)
    )
    third = await add_settled(
        api, EntrySource.GITHUB, "d3", Push(OTHER, "x", COMMIT, ""), note="no pipeline has this repository"
    )
    await SqliteInbox(api.parts.store.database).receive(InboxEntry(EntrySource.GITHUB, "d4", push, NIGHT))

    (job,) = (await alice.get("/api/v1/jobs")).json["jobs"]
    (seen,) = (await alice.get("/api/v1/deliveries")).json["deliveries"]
    assert seen == {
        "id": first,
        "source": "github",
        "delivery": "d1",
        "event": "push to main of team/app by alice",
        "repository": "team/app",
        "received_at": "2027-01-15T08:00:00.000+00:00",
        "settled_at": "2027-01-15T08:00:01.000+00:00",
        "outcomes": [
            {"pipeline": "app", "result": "started", "why": "", "job": job["id"]},
            {
                "pipeline": "docs",
                "result": "skipped",
                "why": "none of the 3 changed files matches its paths",
                "job": None,
            },
        ],
        "note": "",
    }
    found = (await root.get("/api/v1/deliveries")).json["deliveries"]
    assert [one["id"] for one in found] == [third + 1, third, second, first]
    assert (found[0]["settled_at"], found[1]["event"], found[1]["note"]) == (
        None,
        "push to x of Team/Other",
        "no pipeline has this repository",
    )
    assert len(found[3]["outcomes"]) == 3


async def test_filters_and_pages_are_the_same_for_all_callers(api: Api) -> None:
    api.team("apps")
    api.pipeline("app", owner="apps")
    alice = await api.caller("alice", apps="member")
    started = PipelineOutcome("app", Result.STARTED)
    for number in range(5):
        await add_settled(api, EntrySource.GITHUB, f"d{number}", Push(APP, f"b{number}", COMMIT, "alice"), started)
        await add_settled(api, EntrySource.CRON, f"c{number}", ScheduleDue("app", "@daily", NIGHT), started)
    await add_settled(api, EntrySource.GITEA, "e", Push(OTHER, "main", COMMIT, "alice"), started)
    for caller in (alice, api.local):
        assert await deliveries_of(caller, "source=cron") == ["c4", "c3", "c2", "c1", "c0"]
        assert await deliveries_of(caller, "repository=team/OTHER") == ["e"]
        assert await deliveries_of(caller, "repository=team/app&source=github&limit=2") == ["d4", "d3"]
        assert await deliveries_of(caller, "source=forgejo") == []
        pages: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await caller.get(f"/api/v1/deliveries?limit=3{cursor}")).json
            pages += [one["delivery"] for one in page["deliveries"]]
            cursor = f"&cursor={page['cursor']}" if page["cursor"] is not None else None
        assert pages == ["e", "c4", "d4", "c3", "d3", "c2", "d2", "c1", "d1", "c0", "d0"]
    assert (await alice.get("/api/v1/deliveries?source=moon")).status == 400


async def deliveries_of(caller: Caller, query: str) -> list[str]:
    found = (await caller.get(f"/api/v1/deliveries?{query}")).json
    return [one["delivery"] for one in found["deliveries"]]
