"""The server itself: what it is doing, and whether it takes new work."""

import shutil
from collections import Counter
from dataclasses import dataclass

from danube_pkg import __version__
from danube_pkg.core.jobs import Phase
from danube_pkg.edges.http.messages import Request
from danube_pkg.edges.http.models import Time, iso, iso_or_none
from danube_pkg.edges.http.resource import Resource
from danube_pkg.edges.http.services import Services


@dataclass(frozen=True, slots=True)
class DrainView:
    """`by` and `since`: who began it and when."""

    active: bool
    by: str
    since: Time | None


@dataclass(frozen=True, slots=True)
class SystemView:
    """`phases`: how many open jobs are in which; `disk_free_bytes`: where artifacts are kept."""

    version: str
    started_at: Time
    draining: DrainView
    max_concurrent_jobs: int
    phases: dict[str, int]
    disk_free_bytes: int
    disk_total_bytes: int


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
            max_concurrent_jobs=engine.settings.max_concurrent_jobs(),
            phases={str(phase): counts[phase] for phase in Phase if phase is not Phase.CLOSED},
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
        )

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
        self.services.engine.reconsider_queue()
        return self._drain_view()
