"""Secrets of sessions and API tokens: a client that presents one acts as the user that it was made for."""

from collections.abc import Callable

from danube_pkg.core.identity.people import SECRET_BYTES, new_secret
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.services.identity.access import Access


class BearerParts(Record):
    """What sessions and API tokens are made with. random: that many random bytes. issuer: where users log in now, ""
    with passwords."""

    access: Access
    clock: Clock
    new_id: Callable[[], str]
    random: Callable[[int], bytes]
    issuer: Callable[[], str]

    def new_secret(self, prefix: str) -> str:
        """A secret that begins with `prefix`; only its hash is stored."""
        return new_secret(prefix, self.random(SECRET_BYTES))
