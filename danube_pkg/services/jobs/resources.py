"""What a job has outside of the store: its log and its source tree, each opened when it is first needed."""

from functools import partial

from danube_pkg.core.jobs.events import SourceOpened
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.core.repositories.ports import SourceTree
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import write_source, write_weak_secrets
from danube_pkg.services.jobs.masks import MaskSource
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.source_trees import JobSource
from danube_pkg.services.jobs.submodules import JobSubmodules


class JobResources:
    """Opens them for all jobs; each active job holds its own."""

    def __init__(self, ports: EnginePorts, masks: MaskSource) -> None:
        self._ports = ports
        self._masks = masks

    async def log(self, active: ActiveJob) -> JobLog:
        """The job's log, which masks every secret that the job could read, and the job's own token."""
        return await active.log_opened_by(partial(self._open_log, active))

    async def _open_log(self, active: ActiveJob) -> JobLog:
        job = active.job
        patterns = await self._masks.patterns(job)
        log = self._ports.logs.open(job.id, patterns=patterns, limit_bytes=job.settings.log_limit_mb * 1024**2)
        write_weak_secrets(log, await self._masks.weak_values(job))
        return log

    async def mask(self, active: ActiveJob, *values: bytes) -> None:
        """From now on these values too, in the log and in the egress ledger."""
        log = await self.log(active)
        log.add_patterns(await self._masks.patterns(active.job, *values))
        await self._ports.egress.mask(active.job)

    async def shell_patterns(self, active: ActiveJob) -> Patterns:
        """What output is masked with that a user sees of an ended job, whose log is closed: as its log was."""
        return await self._masks.patterns(active.job, *active.id_tokens)

    def source(self, active: ActiveJob) -> JobSource:
        """The job's source tree."""
        opened = partial(self._source_opened, active)
        ports = self._ports
        return active.source_made_by(
            lambda: JobSource(
                ports.sources, lambda: active.job, lambda job: JobSubmodules(job, ports.egress, ports.clock), opened
            )
        )

    async def _source_opened(self, active: ActiveJob, source: SourceTree) -> None:
        log = await self.log(active)
        message, author = log.redact(source.commit_message), log.redact(source.commit_author)
        submodules = tuple(replace(one, repository=log.redact(one.repository)) for one in source.submodules)
        await active.apply(SourceOpened(source.rule, source.commit_sha, message, author, submodules))
        write_source(log, active.job, source)
