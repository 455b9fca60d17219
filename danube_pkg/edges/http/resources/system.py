"""The server itself: load, subsystems, draining."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from danube_pkg import __version__
from danube_pkg.core.errors import Conflict
from danube_pkg.core.health.subsystems import (
    NEWEST_JOBS,
    Part,
    PartHealth,
    Subsystem,
    from_conditions,
    of_check,
    of_configuration,
    of_disk,
    of_pods,
)
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Reason
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.system import (
    AwaitedApprovalView,
    DrainCancelView,
    DrainView,
    RepairView,
    SubsystemView,
    SystemView,
)
from danube_pkg.kit.times import iso, iso_or_none
from danube_pkg.services.jobs.environment_decisions import waiting_approval

NEWEST_READ = 50
"""How many of the newest jobs are read to see how jobs end. Few, since pages request this at each change of a job."""


class DiskUsage(Protocol):
    """The result of `shutil.disk_usage`."""

    @property
    def free(self) -> int: ...
    @property
    def total(self) -> int: ...


class System(Resource):
    """`/api/v1/system`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._started_at = services.clock.now()

    async def GET(self, request: Request) -> SystemView:
        """What the server is doing, and how its parts are."""
        engine = self.services.jobs.engine
        counts = Counter(job.phase for job in engine.open_jobs)
        disk = shutil.disk_usage(self.services.storage.artifact_directory)
        return SystemView(
            version=__version__,
            started_at=iso(self._started_at),
            draining=self._drain_view(),
            max_concurrent_jobs=self.services.configuration.applied.config.max_concurrent_jobs,
            phases={str(phase): counts[phase] for phase in Phase if phase is not Phase.CLOSED},
            waiting_for_approval=tuple(
                AwaitedApprovalView(job.id, job.pipeline, approval.environment, iso(approval.expires_at))
                for job in engine.open_jobs
                if (approval := waiting_approval(job)) is not None
            ),
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            subsystems=tuple(
                [
                    SubsystemView(one.part, one.ok, one.says, one.hint, iso_or_none(one.since))
                    for one in await self._parts(disk)
                ]
            ),
            repairs=tuple(
                RepairView(iso(one.at), one.repair, one.why, one.outcome, one.what)
                for one in self.services.health.upkeep.done
            ),
        )

    async def _parts(self, disk: DiskUsage) -> list[Subsystem]:
        begun = self.services.clock.monotonic()
        jobs = await self.services.jobs.store.list_jobs(JobFilter(limit=NEWEST_READ))
        took = self.services.clock.monotonic() - begun
        newest = [job.reason for job in jobs if job.status.ended][:NEWEST_JOBS]
        found = [
            Subsystem(Part.DATABASE, True, f"it answered in {took * 1000:.1f} ms"),
            of_disk(disk.free, disk.total),
            of_pods(newest),
        ]
        conditions = await self.services.health.conditions.conditions()
        found += [of_configuration(self.services.configuration.sync.status, conditions), *from_conditions(conditions)]
        checked = {one.part: one for one in await self.services.health.readiness.parts()}
        known = {one.part for one in found}
        return [
            *(of_check(checked[one.part], one.says) if _is_worse(one, checked) else one for one in found),
            *(of_check(one, "nothing is wrong") for part, one in checked.items() if part not in known),
        ]

    def _drain_view(self) -> DrainView:
        draining = self.services.jobs.draining
        return DrainView(draining.active, draining.by, iso_or_none(draining.since))


def _is_worse(known: Subsystem, checked: Mapping[Part, PartHealth]) -> bool:
    """Whether the check of that subsystem found what its other sources do not show."""
    return known.part in checked and not checked[known.part].ok


class Drain(System):
    """`/api/v1/system/drain`."""

    async def POST(self, request: Request) -> DrainView:
        """Start no new jobs; running ones continue. A restart does not change that."""
        await self.services.jobs.draining.drain(request.actor.name)
        return self._drain_view()


class DrainCancel(System):
    """`/api/v1/system/drain/cancel`."""

    @answers(200, refuses=(409,))
    async def POST(self, request: Request) -> DrainCancelView:
        """Cancel every job that runs while the server is draining. They end with the reason `drained`."""
        if not self.services.jobs.draining.active:
            raise Conflict("not-draining", "this server is not draining", hint="danube drain")
        engine, count = self.services.jobs.engine, 0
        for job in engine.open_jobs:
            if job.phase is not Phase.QUEUED and not job.status.ended:
                with contextlib.suppress(Conflict):  # it ends by itself at this moment
                    await engine.cancel(job.id, request.actor.name, Reason.DRAINED)
                    count += 1
        return DrainCancelView(count)


class Resume(System):
    """`/api/v1/system/resume`."""

    async def POST(self, request: Request) -> DrainView:
        """Start new jobs again."""
        await self.services.jobs.draining.resume()
        return self._drain_view()
