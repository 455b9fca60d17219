"""One pod's gate: every attempt to get out comes by here, is decided, written down, and then let out or not."""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from danube_pkg.adapters.egress.ledgers import LedgerWriter
from danube_pkg.adapters.egress.outside import Outside, is_own
from danube_pkg.adapters.egress.relay import Traffic
from danube_pkg.core.egress.addresses import Address
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.ledger import (
    MAX_ALIKE,
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
from danube_pkg.kit.records import Mutable, replace

MAX_LOOKUPS = 8
"""Names that one pod may have resolved at the same time, so that it leaves threads to the others."""

MAX_DNS_NAMES = 1000
"""Written down of what a pod looks up by DNS, each name once; after that only the first ones are known."""

NO_TARGET = EgressTarget("", 0)
"""Of an attempt that names none."""

_log = logging.getLogger("danube.egress")


class Stopped(Exception):
    """Not let out; the contact says why and is in the ledger already."""

    def __init__(self, contact: Contact, masks: HostMasks) -> None:
        contact = masked(contact, masks)  # a program prints its answer, with the name as its client has changed it
        super().__init__(f"{contact.verdict} {contact.host}:{contact.port} {contact.reason}")
        self.contact = contact


class Passage(Mutable):
    """A connection to the outside, and what is written about it."""

    contact: Contact
    connection: socket.socket
    traffic: Traffic
    is_closed: bool = False


class Gate:
    """`name`: of this proxy, so that no two of one ledger give the same number to a connection."""

    def __init__(
        self, name: str, job_id: str, policy: Policy, hosts: Mapping[str, str], ledger: LedgerWriter, outside: Outside
    ) -> None:
        self.job_id = job_id
        self.policy = policy
        self._name = name
        self._hosts = hosts
        self._ledger = ledger
        self._outside = outside
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self._count = 0
        self._dns_names: set[str] = set()
        self._alike: Counter[Hashable] = Counter()
        self._counted: dict[Hashable, Contact] = {}
        self._told_of_full = False

    @property
    def masks(self) -> HostMasks:
        """What no name may show in the ledger, or in an answer."""
        return self._ledger.masks

    def mask(self, masks: HostMasks) -> None:
        """From now on; also in what was only counted until now."""
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

    async def pass_out(self, way: Way, step: int | None, target: EgressTarget) -> Passage:
        """Connected, with the decision in the ledger. Raises Stopped."""
        decision = self.policy.decide_target(target)
        contact = self.contact(way, step, target, decision)
        if decision.verdict is not Verdict.ALLOWED:
            raise self.stopped(contact)
        addresses = await self._resolve(target)
        if not addresses:
            raise self.stopped(_changed(contact, Decision(Verdict.FAILED, EgressReason.NO_ADDRESS)))
        decided = [(self.policy.decide_address(target, one, own=is_own(one)), one) for one in addresses]
        good = [one for decision, one in decided if decision.verdict is Verdict.ALLOWED]
        if not good:
            decision, address = decided[0]
            raise self.stopped(replace(_changed(contact, decision), address=str(address)))
        try:
            connection, reached = await self._outside.connect(good, target.port)
        except (OSError, TimeoutError):
            failed = _changed(contact, Decision(Verdict.FAILED, EgressReason.UNREACHABLE))
            raise self.stopped(replace(failed, address=str(good[0]))) from None
        contact = replace(contact, address=str(reached))
        behind = next(decision for decision, one in decided if one == reached)
        if behind.reason is EgressReason.LEARNED:
            contact = replace(contact, reason=behind.reason, allow=tuple(dict.fromkeys(contact.allow + behind.allow)))
        try:
            self._ledger.decided(contact)
        except StorageFull as error:
            connection.close()
            raise self._full(contact, error) from error
        return Passage(contact, connection, Traffic())

    async def _resolve(self, target: EgressTarget) -> Sequence[Address]:
        if target.address is not None:
            return [target.address]
        async with self._lookups:
            return await self._outside.resolve(target, self._hosts)

    def stopped(self, contact: Contact) -> Stopped:
        """Written down, or counted where many are alike; what cannot be written is refused for that."""
        alike = (contact.step, contact.way, contact.host, contact.port, contact.reason)
        self._alike[alike] += 1
        if self._alike[alike] > MAX_ALIKE:
            before = self._counted.get(alike)
            self._counted[alike] = replace(contact, attempts=contact.attempts + (before.attempts if before else 0))
            return Stopped(contact, self.masks)
        return self.stopped_late(contact)

    def stopped_late(self, contact: Contact) -> Stopped:
        """The same for a connection that was let out first: that must be taken back, however many are alike."""
        try:
            self._ledger.decided(contact)
        except StorageFull as error:
            return self._full(contact, error)
        return Stopped(contact, self.masks)

    def settle(self) -> None:
        """Write down what was only counted."""
        for contact in self._counted.values():
            self._write_aside(contact)
        self._counted.clear()

    def _full(self, contact: Contact, error: StorageFull) -> Stopped:
        self._tell_of_full(error)
        return Stopped(_changed(contact, Decision(Verdict.REFUSED, EgressReason.LEDGER_FULL)), self.masks)

    def _tell_of_full(self, error: StorageFull) -> None:
        """Once: a program that goes on trying must not fill the proxy's own log."""
        if not self._told_of_full:
            self._told_of_full = True
            _log.error("ledger-full", extra={"fields": {"job": self.job_id, "cause": str(error)}})

    def close(self, passage: Passage) -> None:
        """The connection is over: its bytes into the ledger. Idempotent."""
        if passage.is_closed:
            return
        passage.is_closed = True
        passage.connection.close()
        traffic = passage.traffic
        ended = replace(
            passage.contact,
            ended_at=time.time(),
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
        )
        try:
            self._ledger.ended(ended)
        except StorageFull as error:
            self._tell_of_full(error)

    def looked_up(self, name: str) -> None:
        """A program asked for a name by DNS, in vain."""
        if name in self._dns_names or len(self._dns_names) >= MAX_DNS_NAMES:
            return
        self._dns_names.add(name)
        decision = Decision(Verdict.REFUSED, EgressReason.DNS)
        self._write_aside(self.contact(Way.DNS, None, EgressTarget(name, 53), decision))

    def went_past(self, attempts: int, step: int | None) -> None:
        """The kernel has counted attempts to reach the outside without the proxy."""
        decision = Decision(Verdict.REFUSED, EgressReason.NO_ROUTE)
        self._write_aside(replace(self.contact(Way.DIRECT, step, NO_TARGET, decision), attempts=attempts))

    def asked_for_raw_sockets(self, attempts: int, step: int | None) -> None:
        """The step's supervisor has refused so many since its last report."""
        decision = Decision(Verdict.REFUSED, EgressReason.RAW_SOCKET)
        self.stopped(replace(self.contact(Way.RAW_SOCKET, step, NO_TARGET, decision), attempts=attempts))

    def _write_aside(self, contact: Contact) -> None:
        try:
            self._ledger.decided(contact, keep_free=0)
        except StorageFull as error:
            self._tell_of_full(error)

    def release(self) -> None:
        """No more of this pod."""
        self._ledger.close()


def _changed(contact: Contact, decision: Decision) -> Contact:
    return replace(contact, verdict=decision.verdict, reason=decision.reason, allow=decision.allow)
