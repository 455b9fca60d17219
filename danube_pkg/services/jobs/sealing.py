"""Seals the log and the egress ledger of a running job, again and again while they grow.

Without it, who can write the server's files could change what a job printed an hour ago, and the change would be signed
at its end. The pauses grow with the job's age, so that a job of a day has some hundreds of records and not thousands.

What is sealed is on disk before its record is: a power failure never leaves a record of bytes that are gone, which
would look as if the log had been changed.
"""

import hashlib
from collections.abc import Awaitable, Callable

from danube_pkg.core.jobs.events import FilesSealed
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, sealed_bytes
from danube_pkg.kit.digests import Digest
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.ports import EnginePorts

SHORTEST_SECONDS = 30.0
SHARE_OF_AGE = 0.01
"""A job of 24 hours is sealed some 440 times: 100 times in its first 50 minutes, then each time it is 1% older."""

PART_BYTES = 1024**2


class GrowingDigest:
    """The digest of a file that only grows, without reading what was read before. read: the bytes from an offset up to
    another, fewer where the file is shorter."""

    def __init__(self, read: Callable[[int, int], Awaitable[bytes]]) -> None:
        self._read = read
        self._hash = hashlib.sha256()
        self._size = 0

    async def up_to(self, size_bytes: int) -> Digest:
        """The digest of the first bytes."""
        while self._size < size_bytes:
            part = await self._read(self._size, min(size_bytes, self._size + PART_BYTES))
            if not part:
                break
            self._hash.update(part)
            self._size += len(part)
        return Digest(self._size, self._hash.copy().hexdigest())


def pause_at(age_seconds: float) -> float:
    """Seconds until the next seal of a job of that age."""
    return max(SHORTEST_SECONDS, age_seconds * SHARE_OF_AGE)


async def seal_while_running(active: ActiveJob, ports: EnginePorts) -> None:
    """Seal what has grown, until the job is ending."""
    job_id = active.job.id

    async def read(begin: int, end: int) -> bytes:
        return await ports.logs.read(job_id, begin, end)

    log = GrowingDigest(read)
    while active.job.phase is Phase.RUNNING:
        await ports.clock.sleep(pause_at(ports.clock.now() - (active.job.started_at or ports.clock.now())))
        sealed = FilesSealed(await log.up_to(await ports.logs.sync(job_id)), await ports.egress.digest(active.job))
        if active.job.phase is Phase.RUNNING and _has_grown(active.job, sealed):
            await active.apply(sealed)


def _has_grown(job: Job, sealed: FilesSealed) -> bool:
    known = ((LOG, sealed.log), (EGRESS, sealed.egress))
    return any(digest.size_bytes > sealed_bytes(job.records, kind) for kind, digest in known)
