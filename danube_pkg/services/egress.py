"""Egress of jobs: refusals in the job's log beside their step, and reports of all contacts.

The proxy writes the ledger, also without a server; here it is only read. Names in it come from programs, so they are
masked: by the proxy, which gets the masks before a job can read a value, and again in reports, for values that have
become secrets since.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from danube_pkg.core.egress.credentials import NetworkAccess, ProxyCredential
from danube_pkg.core.egress.denials import note
from danube_pkg.core.egress.host_masks import HostMasks, host_forms
from danube_pkg.core.egress.ledger import (
    Contact,
    Destination,
    by_destination,
    masked,
    needed_allowlist,
    refused,
)
from danube_pkg.core.egress.policy import proxy_environment
from danube_pkg.core.egress.ports import EgressLedgers, EgressProxies
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.ports import JobKeys
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.kit.digests import Digest
from danube_pkg.kit.records import Record

MAX_NOTES = 50
"""Limit of refusals in a job's log; `danube explain` has all of them."""


class EgressReport(Record):
    """needed: the allowlist entries that the job's connections need."""

    contacts: Sequence[Contact]
    destinations: Sequence[Destination]
    needed: Sequence[str]


class NetworkEgress:
    """The proxy of pods on a network: what their steps are given."""

    def __init__(self, access: NetworkAccess, keys: JobKeys) -> None:
        self._access = access
        self._keys = keys

    def environment(self, job_id: str, sequence: int) -> Mapping[str, str]:
        """Variables with the job's credential, which go to the step by its standard input."""
        return ProxyCredential(job_id, sequence, self._keys.egress_password(job_id)).variables(self._access)


class Egress:
    """Egress of all jobs; it has no state. network: for a runtime whose pods reach the proxy over a network."""

    def __init__(
        self,
        proxies: EgressProxies,
        ledgers: EgressLedgers,
        secrets: SecretValues,
        network: NetworkEgress | None = None,
    ) -> None:
        self._proxies = proxies
        self._ledgers = ledgers
        self._secrets = secrets
        self._network = network

    def environment(self, job: Job, sequence: int) -> Mapping[str, str]:
        """The environment variables with which a step uses the proxy and is identified by it."""
        if not job.settings.network.through_proxy:
            return {}
        if self._network is None:
            return proxy_environment(sequence)
        return self._network.environment(job.id, sequence)

    async def mask(self, job: Job) -> None:
        """Masks the values that the job can have read by now in its ledger. Raises Unavailable, Permanent."""
        if job.settings.network.through_proxy:
            await self._proxies.mask(job.id)

    async def note_step(self, job: Job, log: JobLog, sequence: int) -> None:
        """Logs refusals at the end of a step, including those without a known step."""
        if job.settings.network.through_proxy:
            await self._proxies.settle(job.id, sequence)
            await self._note(job, log, lambda step: step in (None, sequence))

    async def note_job(self, job: Job, log: JobLog) -> None:
        """Logs the remaining refusals at the end of a job."""
        if job.settings.network.through_proxy:
            await self._note(job, log, lambda step: True)

    async def _note(self, job: Job, log: JobLog, belongs: Callable[[int | None], bool]) -> None:
        contacts = await asyncio.to_thread(self._ledgers.read, job.id)
        groups = by_destination(refused(contacts))
        for number, group in enumerate(groups):
            latest = group.latest
            if not belongs(latest.step):
                continue
            if number >= MAX_NOTES:
                log.note("egress:more", 0, f"--- egress refused: more than these; see danube explain {job.id} --egress")
                return
            prefix = f"step {latest.step}: " if latest.step else ""
            key = f"egress:{latest.step}:{latest.way}:{latest.host}:{latest.port}:{latest.reason}"
            log.note(key, latest.step or 0, f"--- {prefix}{note(latest)}")

    async def record(self, job: Job, contact: Contact) -> None:
        """A contact that the server makes for the job itself. Raises StorageFull."""
        masks = await self._masks(job)
        await asyncio.to_thread(self._ledgers.append, job.id, masked(contact, masks))

    async def digest(self, job: Job) -> Digest:
        """Size and hash of the job's ledger so far."""
        return await asyncio.to_thread(self._ledgers.digest, job.id)

    async def report(self, job: Job) -> EgressReport:
        """All contacts of a job."""
        masks = await self._masks(job)
        contacts = [masked(one, masks) for one in await asyncio.to_thread(self._ledgers.read, job.id)]
        return EgressReport(contacts, by_destination(contacts), needed_allowlist(contacts))

    async def _masks(self, job: Job) -> HostMasks:
        """Made in a thread: the forms of a value at the bound take more than a tenth of a second."""
        values = await self._secrets.values_to_mask(job.pipeline)
        return await asyncio.to_thread(lambda: HostMasks(host_forms(values)))
