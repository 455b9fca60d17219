"""The reconciler: which job an event of the runtime belongs to, and which pods are removed because no job has them."""

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, Limits, Network, PodSpec
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.pods import PodReconciler
from danube_pkg.services.notifications.observer import JobObserver
from tests.fakes.machine import FakeMachine
from tests.fakes.runtime import FakeRuntime
from tests.services.stores import UnrulyJobs, a_job, open_database


@dataclass
class Reconciling:
    """A reconciler over a fake runtime and one running job. started: names of the tasks that it started for the job."""

    active: ActiveJob
    runtime: FakeRuntime = field(default_factory=lambda: FakeRuntime(FakeMachine()))
    started: list[str] = field(default_factory=list)

    @property
    def reconciler(self) -> PodReconciler:
        def start(active: ActiveJob, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
            assert active is self.active
            self.started.append(name)

        async def no_log(active: ActiveJob) -> JobLog:
            raise AssertionError("no notice is written")

        return PodReconciler(self.runtime, Timing(SystemClock()), {self.active.job.id: self.active}, start, no_log)

    def spec(self, pod_id: str, job_id: str) -> PodSpec:
        return PodSpec(pod_id, job_id, "pipeline", Limits(), Network.NONE, "token")


@pytest_asyncio.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Reconciling]:
    """The job is running in the pod `its-pod`."""
    async with open_database(tmp_path) as database:
        observer = JobObserver(AppliedConfiguration(), SystemClock())
        job = replace(a_job(), phase=Phase.RUNNING, pod_id="its-pod")
        jobs = UnrulyJobs(database)
        yield Reconciling(ActiveJob(job, (), jobs, SystemClock(), lambda active: None, observer))


async def test_an_event_reaches_the_job_whose_pod_it_is_about(setup: Reconciling) -> None:
    job_id = setup.active.job.id
    container = await setup.runtime.create_pod(setup.spec("its-pod", job_id))
    setup.reconciler.take(ContainerEnded(container, job_id, Reason.EVICTED, "evicted"))
    assert setup.started == ["container 0 ended"]


async def test_an_event_of_another_pod_of_the_job_is_ignored(setup: Reconciling) -> None:
    job_id = setup.active.job.id
    container = await setup.runtime.create_pod(setup.spec("an-earlier-pod", job_id))
    setup.reconciler.take(ContainerEnded(container, job_id, Reason.EVICTED, "evicted"))
    assert setup.started == []


async def test_pods_that_no_job_has_are_removed(setup: Reconciling) -> None:
    """Also a former pod of a running job, one that no job was given, and one whose id is that of a job."""
    job_id = setup.active.job.id
    for pod_id, job in (("its-pod", job_id), ("an-earlier-pod", job_id), ("without-job", ""), (job_id, "another")):
        await setup.runtime.create_pod(setup.spec(pod_id, job))
    await setup.reconciler.reconcile()
    assert [state.pod_id for state in await setup.runtime.list_pods()] == ["its-pod"]
