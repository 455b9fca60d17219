"""A filter for system calls that no container needs and that sandbox escapes have used, as a classic BPF program.

Denied calls fail with EPERM (ENOSYS for clone3, so that libc falls back to clone, whose flags a filter can read). A
call in another architecture's numbering kills the process. Layout: linux/seccomp.h, linux/bpf_common.h; numbers: the
kernel's tables.
"""

import platform
import struct

from danube_pkg.kit.records import Record

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCHITECTURE, _ARGUMENT_0 = 0, 4, 16
_CLONE_NEWUSER = 0x10000000
_FAMILIES = (15, 38, 40)
"""AF_KEY, AF_ALG, AF_VSOCK. Not AF_PACKET: the kernel already refuses it without a capability that no pod has, and the
supervisor, which counts the attempts, would not see what is refused here."""


class _Table(Record):
    """The system call numbers of one architecture. audit: its AUDIT_ARCH value."""

    audit: int
    x32: bool
    socket: int
    clone: int
    unshare: int
    clone3: int
    denied: tuple[int, ...]


_COMMON = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)
"""io_uring_*, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr: alike on every architecture."""

# fmt: off
_TABLES = {
    "x86_64": _Table(
        audit=0xC000003E, x32=True, socket=41, clone=56, unshare=272, clone3=435,
        denied=(*_COMMON, 155, 163, 165, 166, 167, 168, 169, 172, 173, 175, 176, 246, 248, 249, 250, 298, 304, 308, 313,
                320, 321, 323, 212),
    ),
    "aarch64": _Table(
        audit=0xC00000B7, x32=False, socket=198, clone=220, unshare=97, clone3=435,
        denied=(*_COMMON, 39, 40, 41, 89, 104, 105, 106, 142, 217, 218, 219, 224, 225, 241, 265, 268, 273, 280, 282, 294,
                18),
    ),
}
# fmt: on
"""pivot_root, acct, mount, umount2, swapon/off, reboot, iopl, ioperm, (init|delete|finit)_module, kexec_*, add_key,
request_key, keyctl, perf_event_open, open_by_handle_at, setns, bpf, userfaultfd, lookup_dcookie."""


def seccomp_program(machine: str | None = None) -> bytes:
    """The filter for bubblewrap's `--seccomp`; b"" for an architecture without a table. machine: by `uname -m`."""
    table = _TABLES.get(machine or platform.machine())
    if table is None:
        return b""
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, table.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if table.x32:
        code += [(_JUMP_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for number in sorted(table.denied):
        code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    code += [(_JUMP_EQUAL, 0, 1, table.clone3), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in (table.clone, table.unshare):
        code += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _ARGUMENT_0),
            (_JUMP_ANY_BIT, 0, 1, _CLONE_NEWUSER),
            (_RETURN, 0, 0, _ERRNO | _EPERM),
            (_RETURN, 0, 0, _ALLOW),
        ]
    code += [(_JUMP_EQUAL, 0, 2 + 2 * len(_FAMILIES), table.socket), (_LOAD, 0, 0, _ARGUMENT_0)]
    for family in _FAMILIES:
        code += [(_JUMP_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT)]
    code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
