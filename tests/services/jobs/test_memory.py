"""A server holds nothing of a job that has ended, however many it has run."""

import gc
from collections import Counter
from pathlib import Path

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

FIRST, MORE = 3, 10
"""The first ones fill what is kept for all jobs."""

OF_THE_FAKE = ("PodSpec", "Container")
"""What the fake machine keeps of each pod that it had."""


async def run_jobs(setup: EngineSetup, count: int) -> None:
    for _ in range(count):
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        await setup.engine.cancel(job.id, "me")
        await wait_until_async(lambda: not setup.engine.open_jobs, 30, "the job to be closed")


def held() -> Counter[str]:
    """How many objects of each of Danube's own classes exist."""
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    found = Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("danube_pkg."))
    return Counter({name: count for name, count in found.items() if name not in OF_THE_FAKE})


async def test_objects_do_not_grow_in_number_with_the_jobs_that_have_ended(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await run_jobs(setup, FIRST)
        before = held()
        assert before["Engine"] == 1
        await run_jobs(setup, MORE)
        await wait_until_async(lambda: (held() - before).total() < MORE, 30, "the objects of ended jobs to be released")
