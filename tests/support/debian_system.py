"""A booted Debian with a systemd, a network and a file tree of its own."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from build_steps.debian_root import TARGET
from tests.support.waiting import wait_until

BOOT_SECONDS = 120.0
"""It takes 8 s on a quiet machine."""

SIZE_BYTES = 3 << 30
"""Debian takes 300 MB, Danube with its unpacked programs as much."""

COMMAND_SECONDS = 600.0

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TREE = """
import hashlib, json, os, stat, sys
found = {}
for top, directories, files in os.walk("/"):
    directories[:] = [one for one in directories if os.path.join(top, one) not in sys.argv[1:]]
    for name in [*directories, *files]:
        path = os.path.join(top, name)
        if path in sys.argv[1:]:
            continue
        state = os.lstat(path)
        more = os.readlink(path) if stat.S_ISLNK(state.st_mode) else ""
        if stat.S_ISREG(state.st_mode):
            with open(path, "rb") as file:
                more = hashlib.sha256(file.read()).hexdigest()
        found[path] = f"{state.st_mode:o} {state.st_uid}:{state.st_gid} {more}"
json.dump(found, sys.stdout)
"""

CONTROL_GROUPS = [
    place
    for place in map(Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"))
    if (place / "cgroup.procs").exists()
]
"""Where systemd keeps its units: the hierarchy of version 2, or that of version 1 and one of version 2 beside it."""

ENTER = 'for group in $1; do mkdir "$group" && echo $$ > "$group/cgroup.procs"; done; shift; exec "$@"'
"""Runs a command in control groups of its own. Systems in one group would share those of their units: each would see,
and end, the other's processes as its own."""

NUMBERS = itertools.count()

VOLATILE = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/lib/systemd")
"""What the running system itself writes."""


class DebianSystem:
    """The system while it runs. root: its tree, as this machine sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._log = root.parent / "boot.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._name = f"danube-test-{os.getpid()}-{next(NUMBERS)}"
        self._groups = [place / self._name for place in CONTROL_GROUPS]

    def boot(self) -> None:
        groups = " ".join(map(str, self._groups))
        words = ["sh", "-e", "-c", ENTER, "sh", groups, "unshare", "--mount", "systemd-nspawn", "--quiet",
                 f"--directory={self.root}", f"--machine={self._name}", "--boot", "--private-network", "--register=no",
                 "--keep-unit", "--console=pipe"]  # fmt: skip
        with self._log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._is_up, BOOT_SECONDS, "the system to boot")

    def control_groups(self) -> Sequence[str]:
        """Those of its first process: a line for each hierarchy, as in cgroups(7)."""
        return Path(f"/proc/{self._leader}/cgroup").read_text().splitlines()

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._log.read_text()
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def run(self, *words: str, check: bool = True, given: str = "") -> "subprocess.CompletedProcess[str]":
        """A command of root in the system. Its cache is on a file system in memory, so that it leaves nothing."""
        command = ["nsenter", "--target", str(self._leader), "--all", "--root", "env", "-i", f"PATH={PATH}", "HOME=/root",
                   "XDG_CACHE_HOME=/run/cache", "sh", "-c", 'cd /root; exec "$@"', "sh", *words]  # fmt: skip
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0 or not check, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A command that runs meanwhile, with pipes as its standard input and output."""
        command = ["nsenter", "--target", str(self._leader), "--all", "--root", "env", "-i", f"PATH={PATH}", "HOME=/root",
                   *words]  # fmt: skip
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(textwrap.dedent(text))

    def tree(self) -> Mapping[str, str]:
        """Every path with its mode, owner, and content or target."""
        found = json.loads(self.run("python3", "-c", TREE, *VOLATILE).stdout)
        assert isinstance(found, dict)
        return found

    def power_off(self) -> None:
        """End it, however far it came."""
        if self._nspawn is None:
            return
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGRTMIN + 4)  # systemd(1): powers off
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(60)
        self._nspawn = None
        wait_until(self._has_left_its_groups, 60, "the control groups to be empty")

    def _has_left_its_groups(self) -> bool:
        for group in self._groups:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):  # a process is still ending
                    os.rmdir(directory)
        return not any(group.exists() for group in self._groups)


@contextlib.contextmanager
def debian_system(directory: Path) -> Iterator[DebianSystem]:
    """A booted system in memory, whatever space this machine's disk has. directory: removed with it."""
    tar = TARGET / "system.tar"
    assert tar.exists(), "make build/debian/system.tar"
    directory.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=755", "danube-test", str(directory)], check=True
    )
    try:
        root = directory / "root"
        root.mkdir()
        subprocess.run(["tar", "-C", str(root), "-xf", str(tar)], check=True)
        system = DebianSystem(root)
        try:
            system.boot()
            yield system
        finally:
            system.power_off()
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()
