"""Enforces the egress policy for one pod: each attempt is decided, recorded, then connected or refused."""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from danube_pkg.adapters.egress.dialer import Dialer
from danube_pkg.adapters.egress.ledgers import LedgerWriter
from danube_pkg.adapters.egress.relay import Traffic
from danube_pkg.core.egress.addresses import Address
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.ledger import (
    MAX_REPEATS,
    Contact,
    Way,
    masked,
)
from danube_pkg.core.egress.policy import (
    Decision,
    EgressReason,
    EgressTarget,
    Policy,
    Verdict,
)
from danube_pkg.core.errors import StorageFull
from danube_pkg.kit.addresses import is_own
from danube_pkg.kit.records import Mutable, replace

MAX_LOOKUPS = 8
"""Simultaneous name lookups of one pod, so that other pods have threads left."""

MAX_DNS_NAMES = 1000
"""Names that are recorded of a pod's DNS queries, each once; further names are not recorded."""

NO_TARGET = EgressTarget("", 0)
"""The target of an attempt without one."""

_log = logging.getLogger("danube.egress")


class NotConnected(Exception):
    """An attempt that was refused or failed. The contact has the reason and is recorded in the ledger."""

    def __init__(self, contact: Contact, masks: HostMasks) -> None:
        contact = masked(contact, masks)  # programs print the response, so its names are masked too
        super().__init__(f"{contact.verdict} {contact.host}:{contact.port} {contact.reason}")
        self.contact = contact


class OutboundConnection(Mutable):
    """A connection to the outside with its ledger contact."""

    contact: Contact
    connection: socket.socket
    traffic: Traffic
    is_closed: bool = False


class EgressEnforcer:
    """name: of this proxy, which makes connection ids unique if several proxies write one ledger."""

    def __init__(
        self, name: str, job_id: str, policy: Policy, hosts: Mapping[str, str], ledger: LedgerWriter, dialer: Dialer
    ) -> None:
        self.job_id = job_id
        self.policy = policy
        self._name = name
        self._hosts = hosts
        self._ledger = ledger
        self._dialer = dialer
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self._count = 0
        self._dns_names: set[str] = set()
        self._repeats: Counter[Hashable] = Counter()
        self._counted: dict[Hashable, Contact] = {}
        self._full_was_logged = False

    @property
    def masks(self) -> HostMasks:
        """The masks for names in the ledger and in responses."""
        return self._ledger.masks

    def mask(self, masks: HostMasks) -> None:
        """Replaces the masks, also for attempts that were only counted so far."""
        self._ledger.masks = masks

    def contact(self, way: Way, step: int | None, target: EgressTarget, decision: Decision) -> Contact:
        self._count += 1
        return Contact(
            time=time.time(),
            connection=f"{self._name}-{self._count}",
            way=way,
            step=step,
            host=target.host,
            port=target.port,
            verdict=decision.verdict,
            reason=decision.reason,
            address=target.host if target.address is not None else "",
            allow=decision.allow,
        )

    async def open_connection(self, way: Way, step: int | None, target: EgressTarget) -> OutboundConnection:
        """Opens a connection and records the decision. Raises NotConnected."""
        decision = self.policy.decide_target(target)
        contact = self.contact(way, step, target, decision)
        if decision.verdict is not Verdict.ALLOWED:
            raise self.record_refusal(contact)
        addresses = await self._resolve(target)
        if not addresses:
            raise self.record_refusal(_changed(contact, Decision(Verdict.FAILED, EgressReason.NO_ADDRESS)))
        decided = [(self.policy.decide_address(target, one, own=is_own(one)), one) for one in addresses]
        allowed = [one for decision, one in decided if decision.verdict is Verdict.ALLOWED]
        if not allowed:
            decision, address = decided[0]
            raise self.record_refusal(replace(_changed(contact, decision), address=str(address)))
        try:
            connection, reached = await self._dialer.connect(allowed, target.port)
        except (OSError, TimeoutError):
            failed = _changed(contact, Decision(Verdict.FAILED, EgressReason.UNREACHABLE))
            raise self.record_refusal(replace(failed, address=str(allowed[0]))) from None
        contact = replace(contact, address=str(reached))
        behind = next(decision for decision, one in decided if one == reached)
        if behind.reason is EgressReason.LEARNED:
            contact = replace(contact, reason=behind.reason, allow=tuple(dict.fromkeys(contact.allow + behind.allow)))
        try:
            self._ledger.record_decision(contact)
        except StorageFull as error:
            connection.close()
            raise self._full(contact, error) from error
        return OutboundConnection(contact, connection, Traffic())

    async def _resolve(self, target: EgressTarget) -> Sequence[Address]:
        if target.address is not None:
            return [target.address]
        async with self._lookups:
            return await self._dialer.resolve(target, self._hosts)

    def record_refusal(self, contact: Contact) -> NotConnected:
        """Records a refusal or failure, or counts it if the same one was recorded often.

        Returns the exception to raise.
        """
        key = (contact.step, contact.way, contact.host, contact.port, contact.reason)
        self._repeats[key] += 1
        if self._repeats[key] > MAX_REPEATS:
            before = self._counted.get(key)
            self._counted[key] = replace(contact, attempts=contact.attempts + (before.attempts if before else 0))
            return NotConnected(contact, self.masks)
        return self.record_late_refusal(contact)

    def record_late_refusal(self, contact: Contact) -> NotConnected:
        """As `record_refusal` after the connection was allowed: it is recorded however often it repeats."""
        try:
            self._ledger.record_decision(contact)
        except StorageFull as error:
            return self._full(contact, error)
        return NotConnected(contact, self.masks)

    def settle(self) -> None:
        """Records the attempts that were only counted."""
        for contact in self._counted.values():
            self._record_extra(contact)
        self._counted.clear()

    def _full(self, contact: Contact, error: StorageFull) -> NotConnected:
        self._log_full(error)
        return NotConnected(_changed(contact, Decision(Verdict.REFUSED, EgressReason.LEDGER_FULL)), self.masks)

    def _log_full(self, error: StorageFull) -> None:
        """Logs once: a program that keeps trying must not fill the proxy's own log."""
        if not self._full_was_logged:
            self._full_was_logged = True
            _log.error("ledger-full", extra={"fields": {"job": self.job_id, "cause": str(error)}})

    def close(self, outbound: OutboundConnection) -> None:
        """Closes a connection and records its bytes. Idempotent."""
        if outbound.is_closed:
            return
        outbound.is_closed = True
        outbound.connection.close()
        traffic = outbound.traffic
        ended = replace(
            outbound.contact,
            ended_at=time.time(),
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
        )
        try:
            self._ledger.record_end(ended)
        except StorageFull as error:
            self._log_full(error)

    def record_dns_lookup(self, name: str) -> None:
        """Records a refused DNS query for a name."""
        if name in self._dns_names or len(self._dns_names) >= MAX_DNS_NAMES:
            return
        self._dns_names.add(name)
        decision = Decision(Verdict.REFUSED, EgressReason.DNS)
        self._record_extra(self.contact(Way.DNS, None, EgressTarget(name, 53), decision))

    def record_bypass(self, attempts: int, step: int | None) -> None:
        """Records attempts to bypass the proxy, which the kernel has counted."""
        decision = Decision(Verdict.REFUSED, EgressReason.NO_ROUTE)
        self._record_extra(replace(self.contact(Way.DIRECT, step, NO_TARGET, decision), attempts=attempts))

    def record_raw_sockets(self, attempts: int, step: int | None) -> None:
        """Records raw sockets that the step's supervisor has refused since its last report."""
        decision = Decision(Verdict.REFUSED, EgressReason.RAW_SOCKET)
        self.record_refusal(replace(self.contact(Way.RAW_SOCKET, step, NO_TARGET, decision), attempts=attempts))

    def _record_extra(self, contact: Contact) -> None:
        try:
            self._ledger.record_decision(contact, keep_free=0)
        except StorageFull as error:
            self._log_full(error)

    def release(self) -> None:
        """Closes the ledger at the pod's end."""
        self._ledger.close()


def _changed(contact: Contact, decision: Decision) -> Contact:
    return replace(contact, verdict=decision.verdict, reason=decision.reason, allow=decision.allow)
