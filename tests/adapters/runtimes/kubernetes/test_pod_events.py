"""Statuses of pods become events: each end once, and with the cause that follows it."""

import asyncio

from danube_pkg.adapters.runtimes.kubernetes.pod_events import PodEvents
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, read_pod
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded
from tests.adapters.runtimes.kubernetes.objects import POD_ID, pod_object, running, status, with_worker


def ended(**pod_status: str) -> PodStatus:
    """The worker has ended by a TERM from outside; further fields of the pod's status."""
    pod = running(with_worker(pod_object()))
    state = status("worker-1", terminated={"exitCode": 0, "reason": "Completed"})
    pod["status"] |= {"ephemeralContainerStatuses": [state], **pod_status}
    return read_pod(pod)


async def test_an_end_whose_cause_follows_has_that_cause() -> None:
    events = PodEvents()
    async with events.open(()) as published:
        events.take(ended())
        events.take(ended(phase="Failed", reason="Evicted", message="The node was low on resource: memory. "))
        found = [await anext(published), await anext(published)]
    assert {(one.container.number, one.reason) for one in found if isinstance(one, ContainerEnded)} == {
        (0, Reason.EVICTED),
        (1, Reason.EVICTED),
    }


async def test_an_end_without_a_cause_is_reported_after_a_moment_and_once() -> None:
    events = PodEvents()
    async with events.open(()) as published:
        events.take(ended())
        events.take(ended())
        async with asyncio.timeout(20):
            found = await anext(published)
        assert isinstance(found, ContainerEnded)
        assert (found.container.number, found.reason) == (1, Reason.POD_LOST)
        events.take(ended())
        events.notify(POD_ID, "job", "behind it")
        assert not isinstance(await anext(published), ContainerEnded)


async def test_what_had_ended_before_a_watch_is_reported_at_once() -> None:
    events = PodEvents()
    for _ in range(2):
        async with events.open((ended(),)) as published:
            events.notify(POD_ID, "job", "behind it")
            assert isinstance(await anext(published), ContainerEnded)


async def test_a_pod_that_danube_removes_has_no_events() -> None:
    events = PodEvents()
    async with events.open(()) as published:
        events.take(ended())
        events.removing(POD_ID)
        events.take(ended(phase="Failed", reason="Evicted"))
        events.removed(POD_ID)
        events.notify(POD_ID, "job", "the only one")
        assert not isinstance(await anext(published), ContainerEnded)
