"""What the submodules of a job's source may use: hosts by the egress allowlist, credentials by the pipeline.

A committer names any URL as a submodule, and the server fetches it. So its host must be the repository's own, one of
the allowlist, or that of a repository that the pipeline's definition names; the server's credentials are lent for the
latter only. Each contact stands in the job's egress ledger.
"""

import asyncio
import itertools
import socket
from collections.abc import Sequence

from danube_pkg.core.egress.addresses import Address, parse_address
from danube_pkg.core.egress.ledger import Contact, Way
from danube_pkg.core.egress.policy import Decision, EgressReason, Policy, Verdict, parse_target
from danube_pkg.core.egress.server_contacts import CONFIGURED
from danube_pkg.core.errors import Invalid, StorageFull
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.globs import matches_across
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.kit.addresses import is_own
from danube_pkg.kit.clock import Clock
from danube_pkg.services.egress import Egress


class JobSubmodules:
    """`core.repositories.ports.SubmoduleGuard` of one job."""

    def __init__(self, job: Job, egress: Egress, clock: Clock) -> None:
        self._job = job
        self._egress = egress
        self._clock = clock
        self._policy = Policy(job.settings.egress_allowlist)
        self._numbers = itertools.count(1)

    def lends(self, url: str) -> bool:
        return any(matches_across(pattern, canonical(url)) for pattern in self._job.settings.submodules)

    async def allowed_addresses(self, host: str, port: int, *, configured: bool) -> Sequence[str] | None:
        try:
            target = parse_target(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except Invalid:
            return None
        addresses: Sequence[str] = ()
        decision, address = (CONFIGURED, "") if configured else (self._policy.decide_target(target), "")
        if not configured and decision.verdict is Verdict.ALLOWED and target.address is None:
            found = await asyncio.to_thread(_addresses_of, host)
            decided = [(self._policy.decide_address(target, one, own=is_own(one)), str(one)) for one in found]
            refused = [one for one in decided if one[0].verdict is not Verdict.ALLOWED]
            nowhere = (Decision(Verdict.FAILED, EgressReason.NO_ADDRESS), "")
            # One refused address refuses the host: it is shown, and not left out.
            decision, address = next(iter([*refused, *decided, nowhere]))
            addresses = [one for _, one in decided]
        contact = Contact(
            time=self._clock.now(),
            connection=f"source-{int(self._clock.now() * 1e6):x}-{next(self._numbers)}",
            way=Way.SOURCE,
            step=None,
            host=target.host,
            port=port,
            verdict=decision.verdict,
            reason=decision.reason,
            address=address,
            allow=decision.allow,
        )
        try:
            await self._egress.record(self._job, contact)
        except StorageFull:
            return None  # what cannot be recorded is not contacted
        return addresses if decision.verdict is Verdict.ALLOWED else None


def _addresses_of(host: str) -> Sequence[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    parsed = (parse_address(str(address[0]).partition("%")[0]) for *_, address in found)
    return [address for address in parsed if address is not None]
