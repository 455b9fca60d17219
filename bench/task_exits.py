"""Reports of the kernel on each task of the machine that ends: the taskstats interface
(https://docs.kernel.org/accounting/taskstats.html). It takes root of the machine (CAP_NET_ADMIN)."""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_NETLINK_GENERIC, _RECEIVE_BUFFER_FORCE = 16, 33  # of <linux/netlink.h> and <asm/socket.h>
_REQUEST = 1  # NLM_F_REQUEST
_GENL_CONTROLLER = 16  # GENL_ID_CTRL
_GET_FAMILY, _ATTRIBUTE_FAMILY_ID, _ATTRIBUTE_FAMILY_NAME = 3, 1, 2
_COMMAND_GET, _ATTRIBUTE_REGISTER = 1, 3  # TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK
_AGGREGATE_PID, _STATS = 4, 3  # TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_STATS

_BUFFER_BYTES = 16 * 1024**2
"""Some ten thousand reports: what ends while nothing reads."""

_TYPE_MASK = 0x3FFF
"""NLA_TYPE_MASK: without the flag of nested attributes."""


@dataclass(frozen=True, slots=True)
class EndedTask:
    """One thread that has ended. process: its process's id; cpu_ms: processor time, user and system together."""

    process: int
    parent: int
    name: str
    cpu_ms: float


class TaskExits:
    """`with TaskExits() as exits: …; exits.read()` gives every thread of the machine that ended since the last call.

    Raises OSError without the right, or on a kernel without CONFIG_TASKSTATS.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER_BYTES)
        self._socket.bind((0, 0))
        self._family = self._family_of(b"TASKSTATS\0")
        cpus = f"0-{(os.cpu_count() or 1) - 1}".encode() + b"\0"
        self._send(self._family, _COMMAND_GET, _ATTRIBUTE_REGISTER, cpus)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def read(self) -> list[EndedTask]:
        """Without waiting."""
        found: list[EndedTask] = []
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return found
            for kind, payload in _messages(data):
                if kind == self._family:
                    found += [_ended(stats) for stats in _stats_in(payload)]

    def _family_of(self, name: bytes) -> int:
        self._send(_GENL_CONTROLLER, _GET_FAMILY, _ATTRIBUTE_FAMILY_NAME, name)
        for _, payload in _messages(self._socket.recv(65536)):
            for kind, value in _attributes(payload[4:]):
                if kind == _ATTRIBUTE_FAMILY_ID:
                    return int(struct.unpack("=H", value)[0])
        raise OSError("the kernel has no taskstats")

    def _send(self, family: int, command: int, attribute: int, value: bytes) -> None:
        body = struct.pack("=BBxxHH", command, 1, len(value) + 4, attribute) + value + b"\0" * (-len(value) % 4)
        self._socket.send(struct.pack("=IHHII", len(body) + 16, family, _REQUEST, 0, 0) + body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each netlink message."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if kind == 2 and (code := struct.unpack_from("=i", data, 16)[0]):  # NLMSG_ERROR
            raise OSError(-code, os.strerror(-code))
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each netlink attribute."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & _TYPE_MASK, data[4:length]
        data = data[(length + 3) & ~3 :]


def _stats_in(payload: bytes) -> Iterator[bytes]:
    for kind, value in _attributes(payload[4:]):
        if kind == _AGGREGATE_PID:
            yield from (stats for inner, stats in _attributes(value) if inner == _STATS)


def _ended(stats: bytes) -> EndedTask:
    """From `struct taskstats` of <linux/taskstats.h>, version 12 or newer (Linux 5.19)."""
    (running,) = struct.unpack_from("=Q", stats, 72)
    _, parent = struct.unpack_from("=II", stats, 128)
    user, system = struct.unpack_from("=QQ", stats, 152)
    (process,) = struct.unpack_from("=I", stats, 368)
    name = stats[80:112].partition(b"\0")[0].decode(errors="replace")
    return EndedTask(process, parent, name, running / 1e6 if running else (user + system) / 1e3)
