"""IP addresses: those of this machine, and those that a name may have in this process."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of this machine: the kernel then uses the same source address. No packet is sent."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address


@contextmanager
def only_addresses(host: str, addresses: Sequence[str]) -> Iterator[None]:
    """During the block every look-up of a host in this process gives these addresses, whatever its name server says by
    then. No addresses: nothing changes. For a process that does nothing else: `socket.getaddrinfo` is replaced."""
    look_up, name = socket.getaddrinfo, _plain(host)

    def pinned(asked: Any, *arguments: Any, **options: Any) -> Any:
        if _plain(asked) != name:
            return look_up(asked, *arguments, **options)
        found = []
        for address in addresses:
            with contextlib.suppress(socket.gaierror):  # of another family than the requested one
                found += look_up(address, *arguments, **options)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "none of the checked addresses can be used")
        return found

    if addresses:
        socket.getaddrinfo = pinned  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = look_up


def _plain(name: Any) -> str:
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    return text.lower().removesuffix(".")
