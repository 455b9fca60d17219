"""Reads the facts about this machine that an installation is decided by."""

import os
import shutil
import socket
import time
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.machine_memory import machine_bytes
from danube_pkg.core.errors import Permanent
from danube_pkg.install.commands import run_machine_command
from danube_pkg.install.journal import InstallOptions
from danube_pkg.install.plan import ProgramFile
from danube_pkg.install.preflight import FOREIGN_FILES, MachineFacts
from danube_pkg.kit.digests import digest_of_file


def program_file(name: str) -> ProgramFile:
    """The file of a Danube. Raises Permanent for one that cannot be copied: a checkout, a module."""
    path = Path(name).absolute()
    if not is_program(path):
        raise Permanent(
            "program-not-a-file",
            f"{path} cannot be installed, since it is not a file that runs by itself",
            hint="build one, and run that: python build.py zipapp",
        )
    return ProgramFile(str(path), digest_of_file(path).sha256)


def is_program(path: Path) -> bool:
    """Whether the file is executable, and a program of the machine or a script with its interpreter."""
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(4).startswith((b"\x7fELF", b"#!"))


def read_facts(options: InstallOptions) -> MachineFacts:
    """The facts for an installation with these options."""
    return MachineFacts(
        is_root=os.geteuid() == 0,
        systemd=_systemd_version(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=machine_bytes(),
        free_bytes=shutil.disk_usage(existing_parent(options.data)).free,
        now=time.time(),
        synchronized=_synchronized(),
        listening=_listens(options.listen),
        foreign=tuple(path for path in FOREIGN_FILES if Path(path).exists()),
    )


def existing_parent(path: str) -> Path:
    """The nearest directory above a path that exists."""
    found = Path(path)
    while not found.is_dir():
        found = found.parent
    return found


def _systemd_version() -> str:
    if not Path("/run/systemd/system").is_dir():
        return ""
    return run_machine_command("systemctl", "--version").printed.split()[1]


def _synchronized() -> bool | None:
    if shutil.which("timedatectl") is None:
        return None
    found = run_machine_command("timedatectl", "show", "--property=NTPSynchronized", "--value").printed
    return found == "yes" if found in ("yes", "no") else None


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=_family(host)):
            return False
    except OSError:
        return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
