"""What the server and a proxy say to each other: one JSON object a packet over a unix socket, with descriptors beside it.

    {"verb": "serve", "job": …, "allowlist": […], "learn": bool, "hosts": {…}}  with the descriptors of DESCRIPTORS; no answer
    {"verb": "mask", "job": …}: with a masks file, in the place of the former one   → {"masked": job}
    {"verb": "pods"}                                                          → {"pods": [job, …]}
    {"verb": "settle", "job": …, "step": n}: write down what was counted      → {"settled": job}

A proxy of an older version may be asked by a newer server: verbs are only ever added.
"""

import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.policy import MAX_ALLOWLIST_BYTES
from danube_pkg.core.errors import Permanent

DESCRIPTORS = ("listener", "names", "holder", "ledger", "masks", "counters", "counters6")
"""In this order: the sockets in the pod's network, a pidfd of the process that holds it, the ledger, a masks file, and the
kernel's counters of that network (without the last one where the kernel has no IPv6)."""

MAX_MASKS_BYTES = 64 * 1024**2
"""What is masked in the names of one pod: the forms of some thousand secrets, or of fifty of the largest."""

MAX_PACKET_BYTES = 2 * MAX_ALLOWLIST_BYTES
"""An allowlist with its quotes; below what a unix socket takes in one packet (net.core.wmem_default is 208 KiB)."""


def send_packet(connection: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError; BlockingIOError where the other side has not read for long."""
    socket.send_fds(connection, [json.dumps(message).encode()], descriptors, socket.MSG_NOSIGNAL)


def receive_packet(connection: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]] | None:
    """What lies there; None at the end of the connection. Raises OSError; BlockingIOError where there is nothing."""
    data, descriptors, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, len(DESCRIPTORS), socket.MSG_CMSG_CLOEXEC)
    return (json.loads(data), descriptors) if data else None


def masks_file(forms: Collection[str]) -> int:
    """What `core.egress.host_masks.host_forms` gave, in memory that has no place on a disk and may be larger than a packet; its
    owner closes it. Raises Permanent."""
    data = json.dumps(sorted(forms)).encode()
    if len(data) > MAX_MASKS_BYTES:
        raise Permanent(
            "masks-too-large",
            f"the secrets of this job have {len(data)} bytes to be masked in names of hosts, the bound is {MAX_MASKS_BYTES}",
            hint="remove secrets that no job reads any more: danube secrets list",
        )
    descriptor = os.memfd_create("danube-masks", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    return descriptor


def read_masks(descriptor: int) -> HostMasks:
    """What a masks file says; it is closed. Several proxies may have the same one, so it is read from a place and not on."""
    try:
        return HostMasks(json.loads(os.pread(descriptor, MAX_MASKS_BYTES, 0)))
    finally:
        os.close(descriptor)
