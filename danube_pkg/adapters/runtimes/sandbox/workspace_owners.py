"""Whose the workspace is, and how steps of other users may write to it.

On the disk the whole tree belongs to one user of the pod, TREE_OWNER, who runs the coordinator and the image `host`.
The user of another image sees it through a mount that exchanges these two users: what belongs to TREE_OWNER on the disk
is the image user's own there, and what the image's user creates is TREE_OWNER's on the disk. So each step works in a
tree of its own user with the modes that Git makes, and Git, ssh and dpkg accept it.

Such mounts need Linux 5.12, CAP_SYS_ADMIN over the file system, and a file system that supports them. Elsewhere steps
share the tree by TREE_OWNER's group: directories pass it on (setgid), and the umask leaves it what the owner may. A
pod with a single id needs neither.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.id_maps import IDS_OF_A_POD
from danube_pkg.core.errors import HostLacks
from danube_pkg.kit.processes import child_process

TREE_OWNER = 1000
"""The user and group in a pod that own the workspace: the first ordinary user of most systems."""

SHARED_UMASK = 0o002
OWN_UMASK = 0o022

OWN_MODE = 0o755
SHARED_MODE = 0o2775
"""The mode of a workspace that steps share by its group: what is created in it gets that group."""

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def exchange(base: int, one: int, other: int) -> str:
    """The map in which two ids of a pod are exchanged and all others stay, for `danube-ns`: a line for each range, the
    first id on the disk, the first that is shown, and the count. base: the first id of the pod on this machine."""
    low, high = sorted((one, other))
    ranges = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    if low == high:
        ranges = [(0, 0, high + 1)]
    ranges.append((high + 1, high + 1, IDS_OF_A_POD - high - 1))
    return "\n".join(f"{base + disk} {base + shown} {count}" for disk, shown, count in ranges if count > 0)


async def mount_problem(program: Path, directory: Path, base: int) -> str:
    """Why a directory cannot be mounted with other owners, tried with it; "" where it can. program: danube-ns."""
    ids = exchange(base, TREE_OWNER, 0)
    async with child_process(
        str(program), "map", str(directory), str(directory), ids, ids,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={},
        cwd="/",
    ) as process:  # fmt: skip
        _, errors = await process.communicate()
    return (errors.decode(errors="replace").strip() or "no reason given") if process.returncode else ""


async def give(path: Path, user: int, base: int, userns_command: Sequence[str]) -> None:
    """Make a user and group of the pod the owner of a path. base, userns_command: as in PodRecord and SandboxPods; with
    neither the pod has one id, which owns everything already. Raises HostLacks."""
    if base:
        os.chown(path, base + user, base + user)
    elif userns_command:
        async with child_process(
            *userns_command, "/bin/sh", "-c", 'exec chown "$1" "$2"', "chown", f"{user}:{user}", str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env={"PATH": _PATH}, cwd="/",
        ) as process:  # fmt: skip
            _, errors = await process.communicate()
        if process.returncode:
            cause = errors.decode(errors="replace").strip()
            raise HostLacks("ids-refused", f"{path} cannot get its owner", cause=cause, hint="danube doctor")
