"""The default branch of a job's repository: its caches and snapshots are read by all branches."""

import asyncio

from danube_pkg.core.caches.cache import needs_default_branch
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.logs import EventLog
from danube_pkg.services.jobs.ports import EnginePorts

BRANCH_SECONDS = 300.0
"""For so long the default branch of a repository is taken to be the same."""

ASKED_SECONDS = 20.0
"""A forge that does not name the default branch by then costs a miss."""

MAX_BRANCHES = 1000
"""Repositories whose default branch is remembered."""

_log = EventLog("danube.caches")


class DefaultBranches:
    """For all jobs, as Git reports HEAD of their repositories."""

    def __init__(self, ports: EnginePorts) -> None:
        self._ports = ports
        self._branches: dict[str, tuple[float, str]] = {}

    async def of(self, job: Job) -> str:
        """Its short name; "" for a job that does not need it, and where the repository does not say."""
        if not needs_default_branch(job):
            return ""
        repository, now = job.settings.repository, self._ports.clock.monotonic()
        known = self._branches.get(repository)
        if known is not None and now - known[0] < BRANCH_SECONDS:
            return known[1]
        try:
            async with asyncio.timeout(ASKED_SECONDS):
                branch = (await self._ports.sources.resolve(repository, "")).branch
        except (PlatformError, TimeoutError) as error:
            _log.info("default-branch-unknown", job=job.id, cause=str(error))
            return ""
        if len(self._branches) >= MAX_BRANCHES:
            self._branches.clear()
        self._branches[repository] = (now, branch)
        return branch
