"""The user ids that a pod has on this machine. A server run by root gives each pod a range of its own; another user's
pods share the subordinate range of /etc/subuid and /etc/subgid, or have that user's id alone.

A subordinate range is mapped by newuidmap and newgidmap, which are setuid. Whether they work is tried once, since a
machine that has them can still refuse (a container without capabilities, a file system mounted nosuid).
"""

import functools
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from danube_pkg.kit.records import Record

IDS_OF_A_POD = 65536

TRY_SECONDS = 20.0
"""It takes milliseconds on an idle machine."""


class IdMap(Record):
    """How a pod's ids are mapped to those of this machine.

    users, groups: arguments of danube-ns. first_user, first_group: where the subordinate range begins, which is id 1
    of a pod (id 0 is the server's user); 0 without a range. problem, hint: why a pod has one id only; "" where it has
    all.
    """

    users: str
    groups: str
    first_user: int = 0
    first_group: int = 0
    problem: str = ""
    hint: str = ""

    @property
    def is_full(self) -> bool:
        """Whether a pod has all of the ids that images use."""
        return not self.problem

    def userns_command(self, program: Path) -> tuple[str, ...]:
        """A command prefix: a program behind it may work on files of all these owners. program: danube-ns."""
        return (str(program), "within", self.users, self.groups, "--")


def map_of_pod(base: int) -> IdMap:
    """A range from `base` on; only root may map it."""
    text = f"0 {base} {IDS_OF_A_POD}"
    return IdMap(text, text)


@functools.cache
def map_of_user(program: Path) -> IdMap:
    """The map for pods of the server's user, who is not root. program: danube-ns, with which it is tried."""
    user, group = os.geteuid(), os.getegid()
    tools = [shutil.which(name) for name in ("newuidmap", "newgidmap")]
    ranges = [_first_of(Path(file), user) for file in ("/etc/subuid", "/etc/subgid")]
    if not all(tools):
        return _one_id("newuidmap and newgidmap are not installed", "apt-get install uidmap")
    if not all(ranges):
        count, name = IDS_OF_A_POD - 1, _name_of(user)
        return _one_id(
            f"/etc/subuid and /etc/subgid do not give {name} {count} ids",
            f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}",
        )
    (first_user, first_group), count = ranges, IDS_OF_A_POD - 1
    found = IdMap(
        f"{tools[0]} 0 {user} 1 1 {first_user} {count}",
        f"{tools[1]} 0 {group} 1 1 {first_group} {count}",
        first_user,
        first_group,
    )
    try:
        tried = subprocess.run(
            [*found.userns_command(program), "/bin/sh", "-c", ":"],
            env={},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=TRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _one_id(f"the subordinate ids cannot be used: {error}", "danube doctor")
    if tried.returncode != 0:
        cause = " ".join(tried.stderr.split())
        return _one_id(f"the subordinate ids cannot be used: {cause}", "apt-get install --reinstall uidmap")
    return found


def _one_id(problem: str, hint: str) -> IdMap:
    return IdMap(f"0 {os.geteuid()} 1", f"0 {os.getegid()} 1", problem=problem, hint=hint)


def _first_of(file: Path, user: int) -> int:
    """The first id of the user's range if it is large enough, by name or number (subuid(5)); 0 where there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return 0
    for line in lines:
        owner, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        is_own = owner in (_name_of(user), str(user)) and first.isdecimal() and count.isdecimal()
        if is_own and int(first) and int(count) >= IDS_OF_A_POD - 1:
            return int(first)
    return 0


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
