"""Which user ids a pod has on this machine: a range of its own, as root; the range that this user was given by /etc/subuid and
/etc/subgid, for all his pods; or his own id alone.

A subordinate range is mapped by newuidmap and newgidmap, which may do what the user may not. Whether they do is tried once,
since a machine that has them can still refuse (a container without rights, a file system without setuid).
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
"""Milliseconds on a quiet machine."""


class IdMap(Record):
    """users, groups: for danube-ns. first_user, first_group: of the subordinate range, 0 where there is none; id 1 of a pod is
    the first of it, id 0 is who we are. problem, hint: why a pod has one id only, "" where it has all."""

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

    def within(self, program: Path) -> tuple[str, ...]:
        """The words before a command that works on files of all these owners. program: danube-ns."""
        return (str(program), "within", self.users, self.groups, "--")


def map_of_pod(base: int) -> IdMap:
    """The ids from `base` on; for root alone."""
    text = f"0 {base} {IDS_OF_A_POD}"
    return IdMap(text, text)


@functools.cache
def map_of_user(program: Path) -> IdMap:
    """The map of whom the server runs as, who is not root. program: danube-ns, with which it is tried."""
    user, group = os.geteuid(), os.getegid()
    tools = [shutil.which(name) for name in ("newuidmap", "newgidmap")]
    ranges = [_first_of(Path(file), user) for file in ("/etc/subuid", "/etc/subgid")]
    if not all(tools):
        return _one_id("newuidmap and newgidmap are not here", "apt-get install uidmap")
    if not all(ranges):
        count, name = IDS_OF_A_POD - 1, _name_of(user)
        return _one_id(
            f"/etc/subuid and /etc/subgid give {name} no {count} ids",
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
            [*found.within(program), "/bin/sh", "-c", ":"],
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
        said = " ".join(tried.stderr.split())
        return _one_id(f"the subordinate ids cannot be used: {said}", "apt-get install --reinstall uidmap")
    return found


def _one_id(problem: str, hint: str) -> IdMap:
    return IdMap(f"0 {os.geteuid()} 1", f"0 {os.getegid()} 1", problem=problem, hint=hint)


def _first_of(file: Path, user: int) -> int:
    """Of a range that is large enough, by the user's name or number (subuid(5)); 0 where there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return 0
    for line in lines:
        owner, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        is_his = owner in (_name_of(user), str(user)) and first.isdecimal() and count.isdecimal()
        if is_his and int(first) and int(count) >= IDS_OF_A_POD - 1:
            return int(first)
    return 0


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
