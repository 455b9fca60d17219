"""The server itself: what it is doing, and whether it takes new work."""

import shutil
from collections import Counter
from typing import Protocol

from danube_pkg import __version__
from danube_pkg.core.health.subsystems import (
    NEWEST_JOBS,
    Part,
    Subsystem,
    from_conditions,
    of_configuration,
    of_disk,
    of_pods,
)
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Phase
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record

LOOKED_AT = 50
"""Of the newest jobs, for how they ended: the page asks at each change of a job. With many open ones it is fewer ends."""


class DiskUsage(Protocol):
    """What `shutil.disk_usage` says."""

    @property
    def free(self) -> int: ...
    @property
    def total(self) -> int: ...


class DrainView(Record):
    """`by` and `since`: who began it and when."""

    active: bool
    by: str
    since: Time | None


class SubsystemView(Record):
    """How a part of the server is doing. `says`: one sentence; `hint`: what mends it, empty where nothing is to be mended."""

    part: Part
    ok: bool
    says: str
    hint: str


class SystemView(Record):
    """`phases`: how many open jobs are in which; `disk_free_bytes`: where artifacts are kept."""

    version: str
    started_at: Time
    draining: DrainView
    max_concurrent_jobs: int
    phases: dict[str, int]
    disk_free_bytes: int
    disk_total_bytes: int
    subsystems: tuple[SubsystemView, ...]


class System(Resource):
    """`/api/v1/system`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._started_at = services.clock.now()

    async def GET(self, request: Request) -> SystemView:
        """What the server is doing."""
        engine = self.services.engine
        counts = Counter(job.phase for job in engine.open_jobs)
        disk = shutil.disk_usage(self.services.artifact_directory)
        return SystemView(
            version=__version__,
            started_at=iso(self._started_at),
            draining=self._drain_view(),
            max_concurrent_jobs=self.services.applied.config.max_concurrent_jobs,
            phases={str(phase): counts[phase] for phase in Phase if phase is not Phase.CLOSED},
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            subsystems=tuple([SubsystemView(one.part, one.ok, one.says, one.hint) for one in await self._parts(disk)]),
        )

    async def _parts(self, disk: DiskUsage) -> list[Subsystem]:
        begun = self.services.clock.monotonic()
        jobs = await self.services.jobs.list_jobs(JobFilter(limit=LOOKED_AT))
        took = self.services.clock.monotonic() - begun
        newest = [job.reason for job in jobs if job.status.ended][:NEWEST_JOBS]
        found = [
            Subsystem(Part.DATABASE, True, f"it answered in {took * 1000:.1f} ms"),
            of_disk(disk.free, disk.total),
            of_pods(newest),
        ]
        conditions = await self.services.conditions.conditions()
        return [
            *found,
            of_configuration(self.services.configuration.status, conditions),
            *from_conditions(conditions),
        ]

    def _drain_view(self) -> DrainView:
        draining = self.services.draining
        return DrainView(draining.active, draining.by, iso_or_none(draining.since))


class Drain(System):
    """`/api/v1/system/drain`."""

    async def POST(self, request: Request) -> DrainView:
        """Take no new work; what runs goes on. It stays so over a restart."""
        await self.services.draining.drain(request.actor.name)
        return self._drain_view()


class Resume(System):
    """`/api/v1/system/resume`."""

    async def POST(self, request: Request) -> DrainView:
        """Take work again."""
        await self.services.draining.resume()
        return self._drain_view()
