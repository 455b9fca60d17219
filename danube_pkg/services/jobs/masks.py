"""What a job's log and egress ledger mask: every secret that it could have read, its own credentials, known formats."""

import asyncio
from collections.abc import Collection, Sequence

from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.ports import JobKeys
from danube_pkg.core.logs.redaction import Patterns, ValueSet
from danube_pkg.core.logs.token_formats import OWN_LINES, TOKEN_FORMATS
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.core.secrets.secret import weakness
from danube_pkg.core.store import JobStore
from danube_pkg.kit.records import Record
from danube_pkg.services.secrets import KnownValues


class MaskOptions(Record):
    """Beside the values of secrets: token_formats: known formats of tokens. emails: e-mail addresses."""

    token_formats: bool = True
    emails: bool = False


class MaskSource:
    """Reads values anew with each call, since secrets are set and replaced while jobs run. What is compiled from them
    is shared by all logs with the same values."""

    def __init__(
        self, jobs: JobStore, secrets: SecretValues, keys: JobKeys, known: KnownValues, options: MaskOptions
    ) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._keys = keys
        self._known = known
        self._emails = options.emails
        self._formats = ValueSet((), (*OWN_LINES, *(TOKEN_FORMATS if options.token_formats else ())))

    async def patterns(self, job: Job, *read: bytes) -> Patterns:
        """What the job's log masks. read: values that it has just got; those that are no secrets of its pipeline, as
        identity tokens, are a set of their own, so that the others are compiled once."""
        values = set(await self._secrets.values_to_mask(job.pipeline))
        sets = [await self._known.compiled(one) for one in (values, set(read) - values, self._own(job.id))]
        return Patterns(sets=(*sets, self._formats), mask_emails=self._emails)

    async def weak_values(self, job: Job) -> int:
        """How many of the values are so short or ordinary that other text contains them."""
        return sum(bool(weakness(value)) for value in await self._secrets.values_to_mask(job.pipeline))

    async def host_forms(self, job_id: str) -> Collection[str]:
        """The values as they would appear in host names; none for an unknown job."""
        job = await self._jobs.load_job(job_id)
        if job is None:
            return ()
        values = await self._secrets.values_to_mask(job.pipeline)
        return await asyncio.to_thread(host_forms, [*values, *self._own(job_id)])

    def _own(self, job_id: str) -> Sequence[bytes]:
        """The job's own credentials."""
        return [self._keys.job_token(job_id).encode(), self._keys.egress_password(job_id).encode()]
