"""Whether an IP address is one of this machine."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of this machine: the kernel then uses the same source address. No packet is sent."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address
