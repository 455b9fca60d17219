"""Ports for servers of tests, each worker's from a range of its own.

A port that one test has given up, to see what happens without its server, must not become that of another worker's
server. The ranges lie below the one from which the kernel takes ports for clients and for port 0.
"""

import itertools
import os
import random
import socket

FIRST, WIDTH, RANGES = 10_000, 2_000, 11

_range = int(os.environ.get("PYTEST_XDIST_WORKER", "gw10").removeprefix("gw")) % RANGES
_next = itertools.count(random.randrange(WIDTH))


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback on which nothing listens at this moment."""
    found: list[int] = []
    while len(found) < count:
        port = FIRST + _range * WIDTH + next(_next) % WIDTH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # another program's
        found.append(port)
    return found


def free_port() -> int:
    """A port of the loopback on which nothing listens at this moment."""
    return free_ports(1)[0]
