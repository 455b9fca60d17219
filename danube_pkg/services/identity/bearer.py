"""Secrets of sessions and API tokens: a client that presents one acts as the user that it was made for."""

from collections.abc import Callable

from danube_pkg.core.identity.people import SECRET_BYTES, new_secret
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.services.identity.access import Access


class BearerParts(Record):
    """What sessions and API tokens are made with. random: that many random bytes."""

    access: Access
    clock: Clock
    new_id: Callable[[], str]
    random: Callable[[int], bytes]

    def new_secret(self, prefix: str) -> str:
        """A secret that begins with `prefix`; only its hash is stored."""
        return new_secret(prefix, self.random(SECRET_BYTES))
