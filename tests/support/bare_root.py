"""Runs a command in a directory as the root of the file system, without network: `bare_root.py ROOT USER PROGRAM
ARGUMENT...` in mount, PID and network namespaces of its own (`command_in`).

The old root is unmounted and not only left (as chroot does): Linux refuses user namespaces to a process below one.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_ARCHITECTURE_CALLS = {"x86_64": 155, "aarch64": 41}
"""The number of pivot_root(2), for which the C library has no function."""

_PRIVATE, _BIND, _RECURSIVE, _DETACH = 1 << 18, 1 << 12, 1 << 14, 2


def command_in(root: Path, *words: str, user: int = 0) -> Sequence[str]:
    """The command that does it; needs root. user: the user and group that the program runs as."""
    return (
        "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child",
        sys.executable, "-P", str(Path(__file__).resolve()), str(root), str(user), *words,
    )  # fmt: skip


def _main(root: str, user: str, *words: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int) -> None:
        _check(libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None), target)

    mount("none", "/", None, _PRIVATE | _RECURSIVE)
    mount(root, root, None, _BIND | _RECURSIVE)
    mount("/dev", f"{root}/dev", None, _BIND | _RECURSIVE)
    mount("proc", f"{root}/proc", "proc", 0)
    os.chdir(root)
    _check(libc.syscall(_ARCHITECTURE_CALLS[os.uname().machine], b".", b"."), "pivot_root")
    _check(libc.umount2(b".", _DETACH), "the old root")
    os.chdir("/")
    if user != "0":
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))
    home = "/root" if user == "0" else "/home/danube"
    os.execve(words[0], words, {"HOME": home, "PATH": "/usr/bin:/bin"})


def _check(result: int, what: str) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)


if __name__ == "__main__":
    _main(*sys.argv[1:])
