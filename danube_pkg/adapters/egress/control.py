"""The control protocol between server and proxy: one JSON object in each packet over a unix socket, with descriptors.

    {"verb": "serve", "job": …, "allowlist": […], "learn": bool, "hosts": {…}}  with DESCRIPTORS      no response
    {"verb": "join", "job": …}  with the first three of DESCRIPTORS and the counters of another network of that pod
                                                                                                       {"joined": bool}
    {"verb": "withdraw", "job": …}: serve that pod no longer                                       {"withdrawn": job}
    {"verb": "mask", "job": …}  with a masks file that replaces the one before                        {"masked": job}
    {"verb": "pods"}                                                             {"pods": [job, …], "network": [job, …]}
    {"verb": "settle", "job": …, "step": n}: write counted attempts into the ledger                   {"settled": job}

For pods on a network (`network.py`), of which "network" above has the jobs:

    {"verb": "admit", "job": …, "allowlist": […], "learn": bool, "hosts": {…}, "password": …, "sources": […]}
        with a ledger and a masks file; again for other sources                                       {"admitted": job}
    {"verb": "release", "job": …}                                                                     {"released": job}
    {"verb": "listen"} with a listening socket                                                        {"listens": true}
    {"verb": "listener"}                                     {"listens": bool}, with the listening socket if it has one
    {"verb": "retire"}: accept no more connections, another process does                              {"retired": true}

A newer server may use a proxy of an older version, so verbs are only added.
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
"""In this order: the sockets in the pod's network, a pidfd of its holder, the ledger, a masks file, and the kernel's
counters of that network (without the last one if the kernel has no IPv6)."""

MAX_MASKS_BYTES = 64 * 1024**2
"""Size of the masks of one pod: the forms of about a thousand secrets, or of fifty of the largest."""

MAX_PACKET_BYTES = 2 * MAX_ALLOWLIST_BYTES
"""An allowlist as JSON; less than a unix socket accepts in one packet (net.core.wmem_default is 208 KiB)."""


def send_packet(connection: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError; BlockingIOError if the peer has not read for long."""
    socket.send_fds(connection, [json.dumps(message).encode()], descriptors, socket.MSG_NOSIGNAL)


def receive_packet(connection: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]] | None:
    """The next packet; None at the end of the connection. Raises OSError; BlockingIOError if there is none yet."""
    data, descriptors, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, len(DESCRIPTORS), socket.MSG_CMSG_CLOEXEC)
    return (json.loads(data), descriptors) if data else None


def masks_file(forms: Collection[str]) -> int:
    """A file in memory with the result of `core.egress.host_masks.host_forms`, which may be larger than a packet.

    Returns a descriptor that the caller closes. Raises Permanent.
    """
    data = json.dumps(sorted(forms)).encode()
    if len(data) > MAX_MASKS_BYTES:
        raise Permanent(
            "masks-too-large",
            f"the secrets of this job have {len(data)} bytes to be masked in host names, the limit is {MAX_MASKS_BYTES}",
            hint="remove secrets that no job reads any more: danube secrets list",
        )
    descriptor = os.memfd_create("danube-masks", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    return descriptor


def read_masks(descriptor: int) -> HostMasks:
    """Reads and closes a masks file. Several proxies share its offset, so it is read from the beginning by pread."""
    try:
        return HostMasks(json.loads(os.pread(descriptor, MAX_MASKS_BYTES, 0)))
    finally:
        os.close(descriptor)
