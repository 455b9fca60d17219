"""Whether the signed records of the job that has kept a snapshot state it: only then does it count as a success."""

from danube_pkg.core.caches.cache import CacheEntry
from danube_pkg.core.errors import Conflict, PlatformError
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.ports import SigningKeyRing
from danube_pkg.core.provenance.verification import Checker, StatedSnapshot, states_snapshot
from danube_pkg.core.store import JobStore
from danube_pkg.kit.records import Record
from danube_pkg.services.provenance.statements import Statements


class Refusal(Record):
    """Why a snapshot is not restored. for_good: it never will be."""

    why: str
    for_good: bool = True


class SnapshotProofs:
    """keys, is_signed_by: what statements of this server are verified with."""

    def __init__(self, jobs: JobStore, statements: Statements, keys: SigningKeyRing, is_signed_by: Checker) -> None:
        self._jobs = jobs
        self._statements = statements
        self._keys = keys
        self._is_signed_by = is_signed_by

    async def refusal(self, entry: CacheEntry) -> Refusal | None:
        """None where the job that kept it has stated it, and this server has signed that."""
        source = await self._jobs.load_job(entry.job_id)
        if source is None:
            return Refusal(f"job {entry.job_id}, which ran the step, is not known any more")
        try:
            provenance = await self._statements.of(source)
        except Conflict as error:
            what = f"job {entry.job_id}, which ran the step, is not signed: {error}"
            return Refusal(what, for_good=source.status.ended)
        except PlatformError as error:
            return Refusal(f"job {entry.job_id}, which ran the step, has no signed records: {error}")
        stated = StatedSnapshot(entry.job_id, entry.pipeline, entry.scope.trusted, entry.step, entry.sha256)
        envelopes, keys = read_envelopes(provenance.envelope), self._keys.public_keys()
        if not states_snapshot(envelopes, stated, keys, self._is_signed_by):
            return Refusal(f"the signed records of job {entry.job_id} do not state this snapshot")
        return None
