"""The servers that a pull contacts for jobs: each is decided, and stands in the ledger of each job that waits for it.

A pull is shared by the jobs that want the same image and may reach the same hosts, so a job that joins later gets the
contacts that were made before it.
"""

import itertools
import logging
from collections.abc import Sequence

from danube_pkg.core.egress.addresses import Address, parse_address
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.ledger import Contact, Way, masked
from danube_pkg.core.egress.policy import Decision, EgressTarget, Verdict, parse_target
from danube_pkg.core.egress.ports import EgressLedgers
from danube_pkg.core.egress.server_contacts import ServerReach
from danube_pkg.core.errors import Invalid, StorageFull
from danube_pkg.kit.addresses import is_own
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record

MAX_CONTACTS = 200
"""Different contacts of one pull: a few mirrors, a token service and where layers are stored. More are refused."""

_log = logging.getLogger("danube.images")


class PullLedger(Record):
    """The ledger of a job that waits for a pull. masks: for names in it."""

    job_id: str
    ledgers: EgressLedgers
    masks: HostMasks

    def record(self, contact: Contact) -> bool:
        """Whether the contact could be recorded."""
        try:
            self.ledgers.append(self.job_id, masked(contact, self.masks))
        except (StorageFull, OSError) as error:
            _log.error("ledger-not-written", extra={"fields": {"job": self.job_id, "cause": str(error)}})
            return False
        return True


class PullContacts:
    """A `core.images.ports.RegistryGuard` by the rules of a reach. Equal contacts are recorded once for each pull."""

    def __init__(self, reach: ServerReach, clock: Clock) -> None:
        self._reach = reach
        self._clock = clock
        self._ledgers: list[PullLedger] = []
        self._contacts: dict[tuple[object, ...], Contact] = {}
        self._numbers = itertools.count(1)

    @property
    def hides_causes(self) -> bool:
        """Whether messages must not say why a server was not reached: only a job has named it."""
        return not self._reach.starts_configured

    def join(self, ledger: PullLedger) -> None:
        """Records in that ledger too, from the first contact of the pull on."""
        self._ledgers.append(ledger)
        for contact in self._contacts.values():
            ledger.record(contact)

    def allows_target(self, host: str, port: int, *, proxied: bool) -> bool:
        target = _target(host, port)
        if target is None:
            return False
        decision = self._reach.decide_target(target)
        if target.address is not None and decision.verdict is Verdict.ALLOWED:
            decision = self._reach.decide_address(target, target.address, own=is_own(target.address))
        if decision.verdict is Verdict.ALLOWED and target.address is None and not proxied:
            return True  # recorded with its address
        return self._record(target, decision, host if target.address is not None else "")

    def allowed_addresses(self, host: str, port: int, addresses: Sequence[str]) -> Sequence[str]:
        target = _target(host, port)
        parsed = [(text, parse_address(text)) for text in addresses]
        known: list[tuple[str, Address]] = [(text, address) for text, address in parsed if address is not None]
        if target is None or not known:
            return []
        decided = [(text, self._reach.decide_address(target, one, own=is_own(one))) for text, one in known]
        allowed = [text for text, decision in decided if decision.verdict is Verdict.ALLOWED]
        address, decision = next((one for one in decided if one[0] in allowed), decided[0])
        return allowed if self._record(target, decision, address) else []

    def _record(self, target: EgressTarget, decision: Decision, address: str) -> bool:
        """Whether the contact is allowed and stands in every ledger."""
        allowed = decision.verdict is Verdict.ALLOWED
        key = (target, decision, address)
        if key in self._contacts:
            return allowed
        if len(self._contacts) >= MAX_CONTACTS:
            return False
        contact = Contact(
            time=self._clock.now(),
            connection=f"image-{int(self._clock.now() * 1e6):x}-{next(self._numbers)}",
            way=Way.IMAGE,
            step=None,
            host=target.host,
            port=target.port,
            verdict=decision.verdict,
            reason=decision.reason,
            address=address,
            allow=decision.allow,
        )
        self._contacts[key] = contact
        recorded = [ledger.record(contact) for ledger in self._ledgers]
        return allowed and all(recorded)


def _target(host: str, port: int) -> EgressTarget | None:
    address = parse_address(host)
    if address is not None:
        return EgressTarget(str(address), port, address)
    try:
        return parse_target(f"{host}:{port}")
    except Invalid:
        return None
