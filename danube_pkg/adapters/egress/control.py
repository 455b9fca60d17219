"""What the server and a proxy say to each other: one JSON object a packet over a unix socket, with descriptors beside it.

    {"verb": "serve", "job": …, "allowlist": […], "learn": bool, "hosts": {…}}  with the descriptors of DESCRIPTORS; no answer
    {"verb": "pods"}                                                          → {"pods": [job, …]}
    {"verb": "settle", "job": …, "step": n}: write down what was counted      → {"settled": job}

A proxy of an older version may be asked by a newer server: verbs are only ever added.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.egress import MAX_ALLOWLIST_BYTES

DESCRIPTORS = ("listener", "names", "holder", "ledger", "counters", "counters6")
"""In this order: the sockets in the pod's network, a pidfd of the process that holds it, the ledger, and the kernel's
counters of that network (without the last one where the kernel has no IPv6)."""

MAX_PACKET_BYTES = 2 * MAX_ALLOWLIST_BYTES
"""An allowlist with its quotes; below what a unix socket takes in one packet (net.core.wmem_default is 208 KiB)."""


def send_packet(connection: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError; BlockingIOError where the other side has not read for long."""
    socket.send_fds(connection, [json.dumps(message).encode()], descriptors, socket.MSG_NOSIGNAL)


def receive_packet(connection: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]] | None:
    """What lies there; None at the end of the connection. Raises OSError; BlockingIOError where there is nothing."""
    data, descriptors, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, len(DESCRIPTORS), socket.MSG_CMSG_CLOEXEC)
    return (json.loads(data), descriptors) if data else None
