"""Listening sockets that exist before the program is ready: connections wait in the kernel instead of being refused.

Sockets may be inherited from systemd, which keeps them open over restarts. They are distinguished by their names
(sd_listen_fds_with_names(3)), never by their order, and neither they nor their variables reach a child.
"""

import os
import socket
from collections.abc import Mapping

BACKLOG = 1024
MAX_PORT = 65535
_FIRST_INHERITED = 3
"""SD_LISTEN_FDS_START."""

_MAX_INHERITED = 16
"""Danube has two; a larger number is not systemd's."""

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

HTTP_NAME, ADMIN_NAME = "http", "admin"
"""FileDescriptorName= of the units: the address for all clients, and the administrator's unix socket."""

_FORMER_HTTP_NAME = "danube.socket"
"""The name that systemd gives to a descriptor of danube.socket where the unit names none, as older ones did."""


def inherited_sockets() -> Mapping[str, socket.socket]:
    """The sockets that the process manager passed to this process, by HTTP_NAME and ADMIN_NAME; those of other names
    are closed. Empty where it passed none, or passed them to another process."""
    process, count, names = (os.environ.pop(name, "") for name in _VARIABLES)
    if process != str(os.getpid()) or not count.isdecimal() or not 0 < int(count) <= _MAX_INHERITED:
        return {}
    found: dict[str, socket.socket] = {}
    known = names.split(":")
    for index in range(int(count)):
        os.set_inheritable(_FIRST_INHERITED + index, False)
        name = known[index] if index < len(known) else ""
        name = HTTP_NAME if name == _FORMER_HTTP_NAME else name
        if name in (HTTP_NAME, ADMIN_NAME) and name not in found:
            found[name] = socket.socket(fileno=_FIRST_INHERITED + index)
        else:
            os.close(_FIRST_INHERITED + index)
    return found


def early_socket(address: str) -> socket.socket | None:
    """A socket that listens on `HOST:PORT` from now on. None where the host has several addresses, the port is any, or
    the address cannot be used: then the program finds that out, and reports it, when it opens its own."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        return None
    made: socket.socket | None = None
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        if len(found) != 1:
            return None
        family, kind, protocol, _, target = found[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(target)
        made.listen(BACKLOG)
        made.setblocking(False)
    except (OSError, OverflowError):
        if made is not None:
            made.close()
        return None
    return made
