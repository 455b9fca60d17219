"""Listening sockets that exist before the program is ready: connections wait in the kernel instead of being refused.

A socket may be inherited from systemd, which keeps it open over restarts (sd_listen_fds(3)).
"""

import os
import socket

BACKLOG = 1024
MAX_PORT = 65535
_FIRST_INHERITED = 3
"""SD_LISTEN_FDS_START."""


def inherited_socket() -> socket.socket | None:
    """The socket that the process manager passed to this process; None where it passed none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or int(os.environ.get("LISTEN_FDS") or 0) < 1:
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)  # they are not for this process's children
    os.set_inheritable(_FIRST_INHERITED, False)
    return socket.socket(fileno=_FIRST_INHERITED)


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
