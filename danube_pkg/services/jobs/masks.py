"""Values to mask in a job's log and egress ledger: every secret that it could have read, and its own token."""

from collections.abc import Collection

from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.ports import JobKeys
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.core.store import JobStore


class MaskSource:
    """Reads them anew with each call, since secrets are set and replaced while jobs run."""

    def __init__(self, jobs: JobStore, secrets: SecretValues, keys: JobKeys) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._keys = keys

    async def values(self, job: Job) -> list[bytes]:
        """The values in clear text."""
        values = await self._secrets.values_to_mask(job.pipeline)
        return [*values, self._keys.job_token(job.id).encode()]

    async def host_forms(self, job_id: str) -> Collection[str]:
        """The values as they would appear in host names; none for an unknown job."""
        job = await self._jobs.load_job(job_id)
        return host_forms(await self.values(job)) if job is not None else ()
