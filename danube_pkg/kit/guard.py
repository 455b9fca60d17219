"""What decides which servers an HTTP client contacts."""

from collections.abc import Sequence
from typing import Protocol


class Guard(Protocol):
    """Decides which servers a client contacts, at each redirect too; it may record its decisions."""

    def allows_target(self, host: str, port: int, *, proxied: bool) -> bool:
        """Called before a request: host is a name or an address. proxied: its address will not be known here."""
        ...

    def allowed_addresses(self, host: str, port: int, addresses: Sequence[str]) -> Sequence[str]:
        """Those of a name's addresses that may be connected to; the connection is made to one of them."""
        ...
