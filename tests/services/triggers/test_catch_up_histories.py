"""Random histories: pushes that are delivered, lost, late or repeated, comparisons, a server that ends at any point.

A head is never lost and never built twice: after all deliveries and a comparison the newest head of each ref has a job,
and no movement has two.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.heads import RefHead
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import Push, TagPush
from danube_pkg.services.triggers.catch_up import EVERY_SECONDS
from tests.support.moved_clock import MovedClock
from tests.support.trigger_server import NOON, REPOSITORY, URL, TriggerServer, a_pipeline, open_trigger_server

APP = a_pipeline("app", TriggerKind.PUSH, TriggerKind.TAG)
REFS = ("refs/heads/main", "refs/heads/topic", "refs/tags/v1")
NONE = "0" * 40
OPERATIONS = 25


class _Ended(Exception):
    """The server ends here."""


class History:
    """A repository that moves, and a server that hears of it or not."""

    def __init__(self, seed: int, path: Path) -> None:
        self.random = random.Random(seed)
        self.path = path
        self.clock = MovedClock(NOON)
        self.heads: dict[str, str] = dict.fromkeys(REFS[:2], "a" * 40)
        self.movements: Counter[tuple[str, str]] = Counter()
        self.late: list[WebhookDelivery] = []
        self.count = 0

    def move(self) -> WebhookDelivery:
        """A ref moves to a new commit."""
        ref = self.random.choice(REFS)
        self.count += 1
        before, after = self.heads.get(ref, NONE), f"{self.count:040x}"
        self.heads[ref] = after
        self.movements[ref, after] += 1
        name = ref.split("/", 2)[2]
        event: Push | TagPush = Push(REPOSITORY, name, after, "alice", "m", before=before)
        if ref.startswith("refs/tags/"):
            event = TagPush(REPOSITORY, name, after, "alice", "m", before=before, after=after)
        return WebhookDelivery(Forge.GITEA, f"d{self.count}", event)

    async def step(self, danube: TriggerServer) -> None:
        match self.random.choice(["push", "push", "push", "late", "compare", "end"]):
            case "push":
                delivery = self.move()
                for _ in range(self.random.choice([0, 0, 1, 1, 2])):
                    await danube.triggers.receive(delivery)
                if self.random.random() < 0.4:
                    self.late.append(delivery)
            case "late" if self.late:
                await danube.triggers.receive(self.late.pop(self.random.randrange(len(self.late))))
            case "compare":
                await self.compare(danube)
            case "end":
                raise _Ended

    async def compare(self, danube: TriggerServer) -> None:
        """The server may end while it waits for Git or writes; what is pushed meanwhile is delivered or not."""
        usual, ends = danube.sources.list_heads, self.random.choice(["", "", "read", "stored"])

        async def pushed_meanwhile(repository: str) -> Sequence[RefHead]:
            found = await usual(repository)
            if self.random.random() < 0.3:
                await danube.triggers.receive(self.move())
            if ends == "read":
                raise _Ended
            return found

        danube.sources.heads_of[URL] = dict(self.heads)
        danube.sources.list_heads = pushed_meanwhile  # type: ignore[method-assign]
        danube.clock.move(EVERY_SECONDS)
        try:
            await danube.catch_ups.compare_due()
        except* _Ended:
            ends = "read"
        danube.sources.list_heads = usual  # type: ignore[method-assign]
        if ends:
            raise _Ended

    async def finish(self, danube: TriggerServer) -> None:
        """What is late arrives, and two comparisons see everything."""
        self.random.shuffle(self.late)
        for delivery in self.late:
            await danube.triggers.receive(delivery)
        danube.sources.heads_of[URL] = dict(self.heads)
        for _ in range(2):
            danube.clock.move(EVERY_SECONDS)
            await danube.catch_ups.compare_due()
            await danube.settled()


async def check_history(seed: int, path: Path) -> None:
    history = History(seed, path)
    async with open_trigger_server(path, history.clock) as danube:
        await danube.configure(APP)
        danube.sources.heads_of[URL] = dict(history.heads)
        await danube.catch_ups.compare_due()
    steps = 0
    while steps < OPERATIONS:
        with contextlib.suppress(_Ended):
            async with open_trigger_server(path, history.clock) as danube:
                await danube.configure(APP)
                while steps < OPERATIONS:
                    steps += 1
                    await history.step(danube)
    async with open_trigger_server(path, history.clock) as danube:
        await danube.configure(APP)
        await history.finish(danube)
        jobs = Counter((one.trigger.revision.ref, one.trigger.revision.commit_sha) for one in await danube.jobs())
    newest = {(ref, sha) for ref, sha in history.heads.items() if history.movements[ref, sha]}
    assert newest <= jobs.keys(), f"seed {seed}: a head was lost"
    assert not {one: count for one, count in jobs.items() if count > 1}, f"seed {seed}: a head was built twice"


LATE = (1009, 1015, 1073)
"""Histories in which deliveries of older movements came late, before that of a head that a comparison had built."""


@pytest.mark.parametrize("seed", [0, 1, 2, *LATE])
async def test_a_head_is_neither_lost_nor_built_twice(tmp_path: Path, seed: int) -> None:
    await check_history(seed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
async def test_many_histories(tmp_path: Path, block: int) -> None:
    for seed in range(1000 + block * 5, 1005 + block * 5):
        path = tmp_path / str(seed)
        path.mkdir()
        await check_history(seed, path)
