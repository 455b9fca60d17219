"""What no webhook announced is found by a comparison with the repository, and starts a job once."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import CatchUp, TriggerKind
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.triggers.heads import MAX_JOBS, RefHead
from danube_pkg.core.triggers.inbox import InboxFilter, describe_event
from danube_pkg.core.triggers.webhooks.events import BranchDeleted, Push, TagPush
from danube_pkg.kit.records import replace
from danube_pkg.services.triggers.catch_up import EVERY_SECONDS, SHOWN_FAILURES
from tests.support.trigger_server import REPOSITORY, URL, TriggerServer, a_pipeline, eventually, open_trigger_server

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
NONE = "0" * 40
MAIN, TOPIC, TAG = "refs/heads/main", "refs/heads/topic", "refs/tags/v1"
APP = a_pipeline("app", TriggerKind.PUSH, TriggerKind.TAG)


def push(before: str, after: str, branch: str = "main") -> Push:
    return Push(REPOSITORY, branch, after, "alice", "m", before=before)


async def compare(danube: TriggerServer, **heads: str) -> list[str]:
    """Compare with a repository that has these branches; the jobs' commits and refs, oldest first."""
    danube.sources.heads_of[URL] = {f"refs/heads/{name}": sha for name, sha in heads.items()}
    return await compare_refs(danube, danube.sources.heads_of[URL])


async def compare_refs(danube: TriggerServer, refs: Mapping[str, str]) -> list[str]:
    danube.sources.heads_of[URL] = dict(refs)
    danube.clock.move(EVERY_SECONDS)
    await danube.catch_ups.compare_due()
    await danube.settled()
    return await built(danube)


async def built(danube: TriggerServer) -> list[str]:
    revisions = [job.trigger.revision for job in await danube.jobs()]
    return [f"{one.name} {one.commit_sha[0]}" for one in revisions]


async def listed(danube: TriggerServer) -> Sequence[str]:
    """The newest entry first: what it is, and for each pipeline the result and the reason."""
    found = await danube.inbox.list_entries(InboxFilter())
    return [
        "; ".join([describe_event(one.event), *(f"{out.pipeline} {out.result} {out.why}" for out in one.outcomes)])
        for one in found
    ]


async def test_the_first_sight_of_a_repository_records_its_heads_and_builds_nothing(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        assert await compare(danube, main=A, topic=B) == []
        assert await listed(danube) == []
        assert await compare(danube, main=A, topic=B) == [], "nothing moved"


async def test_the_newest_head_of_each_ref_that_moved_unannounced_is_built_once(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        refs = {MAIN: C, TOPIC: B, TAG: D}
        assert await compare_refs(danube, refs) == ["main c", "topic b", "v1 d"]
        assert await compare_refs(danube, refs) == ["main c", "topic b", "v1 d"]
        assert await listed(danube) == [
            f"tag v1 of team/app at {D[:12]}, found by comparison; app started ",
            f"branch topic of team/app at {B[:12]}, found by comparison; app started ",
            f"branch main of team/app at {C[:12]}, found by comparison; app started ",
        ]
        job = (await danube.jobs())[0]
        assert (job.trigger.type, job.trigger.actor) == ("webhook", "comparison")
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        assert await compare_refs(danube, refs) == ["main c", "topic b", "v1 d"], "nor after a restart"


async def test_what_a_delivery_announced_is_not_built_again(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        await danube.receive(push(A, B), "d1")
        await danube.receive(TagPush(REPOSITORY, "v1", C, "alice", before=NONE, after=D), "d2")
        danube.sources.heads_of[URL] = {MAIN: B, TAG: D}
        assert await compare_refs(danube, {MAIN: B, TAG: D}) == ["main b", "v1 c"]
        assert await compare_refs(danube, {MAIN: B, TAG: D}) == ["main b", "v1 c"]


@pytest.mark.parametrize("before", [A, C, NONE, ""])
async def test_a_delivery_that_comes_late_builds_nothing_twice(tmp_path: Path, before: str) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        assert await compare(danube, main=B) == ["main b"]
        await danube.receive(push(before, B), "late")
        assert await built(danube) == ["main b"]
        assert await danube.outcome("late") == "app: a comparison found it before"


async def test_a_late_delivery_of_what_was_only_listed_builds_it(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, catch_up=CatchUp.LIST)
        await compare(danube, main=A)
        assert await compare(danube, main=B) == []
        await danube.receive(push(A, B), "late")
        assert await built(danube) == ["main b"]


async def test_a_ref_that_moved_between_is_built_again(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        assert await compare(danube, main=B) == ["main b"]
        await danube.receive(push(B, A), "d1")
        await danube.receive(push(A, B), "d2")
        assert await built(danube) == ["main b", "main a", "main b"], "delivered: A→B→A→B is three pushes"
        await danube.receive(push(B, A), "d3")
        assert await compare(danube, main=B) == ["main b", "main a", "main b", "main a", "main b"], "found"


async def test_deliveries_in_another_order_are_not_taken_for_a_lost_push(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        await danube.receive(push(B, C), "d2")
        await danube.receive(push(A, B), "d1")
        assert await compare(danube, main=C) == ["main c", "main b"]
        assert await compare(danube, main=B) == ["main c", "main b", "main b"], "it went back without a delivery"


async def test_a_push_that_is_announced_while_the_repository_is_read_is_not_built_twice(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        danube.sources.heads_of[URL] = {MAIN: A}
        usual = danube.sources.list_heads

        async def slow(repository: str) -> Sequence[RefHead]:
            found = [*await usual(repository), RefHead(TOPIC, D, D)]
            await danube.receive(push(A, B), "d1")
            return found

        danube.sources.list_heads = slow  # type: ignore[method-assign]
        danube.clock.move(EVERY_SECONDS)
        await danube.catch_ups.compare_due()
        await danube.settled()
        assert await built(danube) == ["main b", "topic d"], "main was A when it was read, and is not built"


async def test_a_deleted_branch_that_comes_back_is_new(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A, topic=B)
        await danube.receive(BranchDeleted(REPOSITORY, "topic", "alice", before=B), "d1")
        assert await compare(danube, main=A, topic=B) == ["topic b"], "announced as deleted"
        await compare(danube, main=A)
        assert await compare(danube, main=A, topic=B) == ["topic b", "topic b"], "seen as deleted"


async def test_a_pipeline_lists_what_it_is_not_to_build(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(
            APP,
            a_pipeline("asks", TriggerKind.PUSH, catch_up=CatchUp.LIST),
            a_pipeline("silent", TriggerKind.PUSH, catch_up=CatchUp.OFF),
            a_pipeline("other", TriggerKind.PUSH, branch_filter=("release/*",)),
        )
        await compare(danube, main=A)
        assert await compare(danube, main=B) == ["main b"]
        assert await listed(danube) == [
            f"branch main of team/app at {B[:12]}, found by comparison; app started ; "
            "asks listed no webhook announced it, and catch_up is list: danube trigger asks --ref main; "
            "other not-meant its branch_filter (release/*) does not match the branch main"
        ]


async def test_at_most_twenty_jobs_of_a_repository_start_and_the_rest_is_listed(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("second", TriggerKind.PUSH))
        await compare(danube, main=A)
        many = {f"b{number:02}": B for number in range(MAX_JOBS)}
        jobs = await compare(danube, main=B, **many)
        assert len(jobs) == MAX_JOBS
        assert jobs[:2] == ["main b", "main b"], "the branch that was known comes first"
        assert (await listed(danube))[0].endswith(
            "second listed no webhook announced it, and one comparison starts 20 jobs: danube trigger second --ref b19"
        )
        assert len(await listed(danube)) == MAX_JOBS + 1
        assert len(await compare(danube, main=B, **many)) == MAX_JOBS, "nor does the next one start them"


async def test_the_mark_of_a_commit_and_filters_count_as_for_a_delivery(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH, paths=("api/**",)))
        await compare(danube, main=A)
        danube.sources.changed = ["docs/a"]
        assert await compare(danube, main=B) == []
        assert f"{URL} {A}..{B}" in danube.sources.requests
        danube.sources.message = "a change\n\n[skip ci]"
        danube.sources.changed = ["api/a"]
        assert await compare(danube, main=C) == []
        danube.sources.message = "a change"
        assert await compare(danube, main=D) == ["main d"]


async def test_while_draining_nothing_is_compared_and_the_end_makes_all_repositories_due(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        await danube.draining.drain("ada")
        danube.sources.requests.clear()
        assert await compare(danube, main=B) == []
        assert danube.sources.requests == []
        await danube.draining.resume()
        await danube.catch_ups.compare_due()
        await danube.settled()
        assert await built(danube) == ["main b"]


async def test_draining_that_begins_while_a_repository_is_read_starts_nothing(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        usual = danube.sources.list_heads

        async def slow(repository: str) -> Sequence[RefHead]:
            await danube.draining.drain("ada")
            return await usual(repository)

        danube.sources.list_heads = slow  # type: ignore[method-assign]
        assert await compare(danube, main=B) == []
        danube.sources.list_heads = usual  # type: ignore[method-assign]
        await danube.draining.resume()
        assert await danube.catch_ups.compare_due() == EVERY_SECONDS
        await danube.settled()
        assert await built(danube) == ["main b"]


async def test_a_repository_that_cannot_be_read_is_asked_again_with_growing_pauses(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.failure = Unavailable("source-unreachable", "it does not answer", hint="look")
        pauses = []
        for _ in range(SHOWN_FAILURES):
            assert await danube.catch_ups.conditions() == []
            pauses.append(await danube.catch_ups.compare_due() or 0)
            danube.clock.move(pauses[-1])
        assert pauses == sorted(pauses)
        assert 0 < pauses[0] < pauses[-1] <= EVERY_SECONDS
        (condition,) = await danube.catch_ups.conditions()
        assert "it does not answer" in condition.what
        assert condition.hint == "look; or in its pipelines: catch_up: off"
        danube.sources.failure = None
        await compare(danube, main=A)
        assert await danube.catch_ups.conditions() == []


async def test_only_repositories_at_a_forge_whose_pipelines_wait_for_pushes_are_asked(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(
            APP,
            a_pipeline("same", TriggerKind.TAG, repository="git@git.example.org:Team/App.git"),
            a_pipeline("pulls", TriggerKind.PULL_REQUEST, repository="https://git.example.org/team/pulls"),
            a_pipeline("off", TriggerKind.PUSH, repository="https://git.example.org/team/off", catch_up=CatchUp.OFF),
            a_pipeline("local", TriggerKind.PUSH, repository="/srv/app"),
        )
        await danube.catch_ups.compare_due()
        assert danube.sources.requests == [f"{URL} heads"], "one request a repository"
        assert await danube.catch_ups.compare_due() == EVERY_SECONDS
        assert len(danube.sources.requests) == 1


async def test_a_repository_that_was_taken_out_of_the_configuration_is_new_when_it_comes_back(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await compare(danube, main=A)
        await danube.configure(replace(APP, name="other", spec=replace(APP.spec, repository=f"{URL}2")))
        await danube.catch_ups.compare_due()
        await danube.configure(APP)
        assert await compare(danube, main=B) == []


async def test_the_loop_compares_at_the_start_and_when_a_configuration_was_applied(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        danube.sources.heads_of[URL] = {MAIN: A}
        loop = asyncio.create_task(danube.catch_ups.run(), name="catch-up")
        await danube.configure(APP)

        async def is_known() -> bool:
            return (await danube.inbox.known_heads("git.example.org/team/app")).keys() == {MAIN}

        await eventually(is_known, "the first comparison")
        danube.sources.heads_of[URL] = {MAIN: B}
        danube.clock.move(EVERY_SECONDS)

        async def is_built() -> bool:
            return await built(danube) == ["main b"]

        await eventually(is_built, "the comparison of the next hour")
        loop.cancel()
