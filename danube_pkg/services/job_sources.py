"""The source of each live job; how it was read is told to the job and written into its log."""

from collections.abc import Awaitable, Callable
from functools import partial

from danube_pkg.core import job_events as ev
from danube_pkg.core.jobs import Job
from danube_pkg.core.ports import JobLog, Source, Sources
from danube_pkg.core.repositories import without_login
from danube_pkg.services.live import LiveJob
from danube_pkg.services.sources import JobSource

OpenLog = Callable[[LiveJob], Awaitable[JobLog]]


class JobSources:
    """One for the engine."""

    def __init__(self, sources: Sources, open_log: OpenLog) -> None:
        self._sources = sources
        self._open_log = open_log

    def of(self, live: LiveJob) -> JobSource:
        """The job's source tree."""
        if live.source is None:
            live.source = JobSource(self._sources, live.job, partial(self._opened, live))
        return live.source

    async def _opened(self, live: LiveJob, source: Source) -> None:
        await live.apply(ev.SourceOpened(source.rule))
        for key, line in _lines(live.job, source):
            (await self._open_log(live)).note(key, 0, line)


def _lines(job: Job, source: Source) -> list[tuple[str, str]]:
    """(key, line): by which rule the code was read, and what else there is to say of it."""
    lines = [(f"source:{notice}", f"--- {' '.join(notice.split())}") for notice in source.notices]
    if source.rule:
        where = f"{without_login(job.settings.repository)} at {source.commit_sha}"
        lines.insert(0, ("source", f"--- source {where}, read with: {source.rule}"))
    return lines
