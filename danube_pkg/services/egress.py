"""What jobs reached and were refused: into the log beside the step that asked, and out again for people.

The ledger itself is written by the proxy, which goes on without a server; here it is only read. Names in it are a program's
own words, so they are masked like everything else that comes out of a pod: by the proxy, which is told what to mask before a
job has it, and once more in reports, which know what has become a secret since.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

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
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.kit.records import Record

MAX_NOTES = 50
"""Refusals that a log tells of; a program that tries a hundred places is told of in `danube explain`."""


class EgressReport(Record):
    """needed: the allowlist without which what the job reached would be refused."""

    contacts: Sequence[Contact]
    destinations: Sequence[Destination]
    needed: Sequence[str]


class Egress:
    """For all jobs; it holds no state."""

    def __init__(self, proxies: EgressProxies, ledgers: EgressLedgers, secrets: SecretValues) -> None:
        self._proxies = proxies
        self._ledgers = ledgers
        self._secrets = secrets

    def environment(self, job: Job, sequence: int) -> Mapping[str, str]:
        """What a step needs to find the proxy, and to be known to it as this step."""
        return proxy_environment(sequence) if job.settings.network.through_proxy else {}

    async def mask(self, job: Job) -> None:
        """What the job can have read by now is masked in its ledger from here on. Raises Unavailable, Permanent."""
        if job.settings.network.through_proxy:
            await self._proxies.mask(job.id)

    async def note_step(self, job: Job, log: JobLog, sequence: int) -> None:
        """At the end of a step: what it was refused, and what only the pod is known to have tried meanwhile."""
        if job.settings.network.through_proxy:
            await self._proxies.settle(job.id, sequence)
            await self._note(job, log, lambda step: step in (None, sequence))

    async def note_job(self, job: Job, log: JobLog) -> None:
        """At the end of a job: whatever was not told yet."""
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
                log.note("egress:more", 0, f"--- egress refused: and more; see danube explain {job.id} --egress")
                return
            who = f"step {latest.step}: " if latest.step else ""
            key = f"egress:{latest.step}:{latest.way}:{latest.host}:{latest.port}:{latest.reason}"
            log.note(key, latest.step or 0, f"--- {who}{note(latest)}")

    async def report(self, job: Job) -> EgressReport:
        """All that is known of a job's way out."""
        masks = HostMasks(host_forms(await self._secrets.values_to_mask(job.pipeline)))
        contacts = [masked(one, masks) for one in await asyncio.to_thread(self._ledgers.read, job.id)]
        return EgressReport(contacts, by_destination(contacts), needed_allowlist(contacts))
