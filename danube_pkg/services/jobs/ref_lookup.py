"""The commit of a job that was stored with a ref alone: it is looked up while the job waits, so that the request for
the job does not wait for the repository.

A ref that names no commit ends the job. A repository that cannot be reached is asked again for as long as a running job
would wait for it. A server that is killed meanwhile asks again with its next start.
"""

import logging
from collections.abc import Callable

from danube_pkg.core.errors import Permanent, Retryable
from danube_pkg.core.jobs.concurrency import is_unresolved
from danube_pkg.core.jobs.events import RefRefused, RefResolved
from danube_pkg.core.jobs.job import Phase
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.source_trees import JobSource
from danube_pkg.services.jobs.waits import GIVE_UP_SECONDS, PAUSES, SOURCE

_log = logging.getLogger("danube.jobs")


KEPT_SECONDS = 5.0
"""How long what has found a commit waits for the start of its job. A job that starts later waits for others."""


async def look_up(active: ActiveJob, source: JobSource, ports: EnginePorts, queue_changed: Callable[[], None]) -> None:
    """Return when the job has its commit, or does not wait any more. queue_changed: called when it may start."""
    if not is_unresolved(active.job):
        return
    over = active.wait_until(lambda job: not is_unresolved(job))
    found = await until(over, _answer(active, source, ports), name=f"commit of {active.job.id}")
    if found is None:
        return
    await active.apply(found)
    queue_changed()
    started = active.wait_until(lambda job: job.phase is not Phase.QUEUED)
    await until(started, ports.timing.clock.sleep(KEPT_SECONDS), name=f"start of {active.job.id}")
    if active.job.phase is Phase.QUEUED:
        await source.release()


async def _answer(active: ActiveJob, source: JobSource, ports: EnginePorts) -> RefResolved | RefRefused:
    job, backoff = active.job, Backoff(PAUSES.first, PAUSES.cap, ports.timing.random)
    while True:
        try:
            revision = await source.find()
        except Permanent as error:
            return RefRefused(f"{error} ({error.hint})" if error.hint else str(error))
        except Retryable as error:
            seconds = active.waits.failed(SOURCE, str(error))
            fields = {"job": job.id, "what": SOURCE, "cause": str(error)}
            _log.log(logging.DEBUG if seconds else logging.WARNING, "job-waits", extra={"fields": fields})
            if seconds >= GIVE_UP_SECONDS:
                return RefRefused(f"{SOURCE} was not available for {seconds:.0f} s: {error}")
        else:
            active.waits.end(SOURCE)
            return RefResolved(revision)
        await ports.timing.clock.sleep(backoff.next())
