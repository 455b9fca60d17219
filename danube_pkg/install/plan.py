"""The plan of an installation: pure, from the options to the steps in their order."""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence

from danube_pkg.core.errors import Invalid
from danube_pkg.install.journal import InstallOptions, Step
from danube_pkg.install.steps import (
    ROOT_USER,
    AwaitServer,
    CopyProgram,
    CreateUser,
    MakeDirectory,
    RunUnits,
    WriteFile,
)
from danube_pkg.install.units import CACHE, PROGRAM, SETTINGS, UNIT_DIRECTORY, unit_texts
from danube_pkg.kit.records import Record

SETTINGS_DIRECTORY = "/etc/danube"

_PATH = re.compile(r"/[A-Za-z0-9._/+@-]+")
"""systemd gives `%` and blanks in a unit a meaning of their own."""

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

_FORBIDDEN = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp",
              "/usr", "/var", "/var/lib", "/var/tmp")  # fmt: skip
"""Directories of the machine, which must not become a data directory with the mode 0700."""


class ProgramFile(Record):
    """The file of the Danube that runs. sha256: of its content, in hexadecimal."""

    path: str
    sha256: str


def checked_options(options: InstallOptions) -> InstallOptions:
    """The same with a clean data path. Raises Invalid for what no unit could name."""
    data = posixpath.normpath(options.data)
    if not _PATH.fullmatch(data) or data in _FORBIDDEN:
        raise Invalid(
            "data-directory-invalid",
            f"{options.data!r} cannot be the data directory",
            cause="it must be absolute, of letters, digits and ._+@-, and no directory of the machine itself",
            hint="danube install --data /var/lib/danube",
        )
    if not _USER.fullmatch(options.user):
        raise Invalid("user-invalid", f"{options.user!r} is not a user's name", hint="danube install --user danube")
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16 or re.search(r"[\s%]", host):
        raise Invalid(
            "address-invalid",
            f"{options.listen!r} is not an address",
            cause="HOST:PORT with a port from 1 to 65535",
            hint="danube install --listen 127.0.0.1:8080",
        )
    return InstallOptions(data, options.user, options.listen, options.host_images, options.config_repo)


def plan_installation(options: InstallOptions, program: ProgramFile, starter: Mapping[str, str]) -> Sequence[Step]:
    """The steps. options: checked. starter: the files of a starter configuration by name."""
    units = unit_texts(options.data, options.user, options.listen)
    steps = [
        *_parents(PROGRAM),
        CopyProgram(program.path, PROGRAM, program.sha256),
        *([CreateUser(options.user, options.data)] if options.user != ROOT_USER else []),
        MakeDirectory(SETTINGS_DIRECTORY, whole=True, lasting=True),
        WriteFile(SETTINGS, settings_text(options), once=True, lasting=True),
        *(_starter(starter) if not options.config_repo else ()),
        *_parents(options.data, lasting=True),
        MakeDirectory(options.data, 0o700, options.user, whole=True, lasting=True),
        *_parents(CACHE),
        MakeDirectory(CACHE, 0o700, options.user, whole=True),
        *(WriteFile(f"{UNIT_DIRECTORY}/{name}", text, unit=name) for name, text in units.items()),
        RunUnits(options.data),
        AwaitServer(options.data),
    ]
    return list(dict.fromkeys(steps))  # two paths may have a parent in common


def settings_text(options: InstallOptions) -> str:
    """danube.toml."""
    repository = options.config_repo or f"{SETTINGS_DIRECTORY}/config"
    return f"""# Written by `danube install`, and the administrator's from then on. All keys: docs/configuration.md.
# A restart applies changes, and running jobs continue: systemctl restart danube

[config_repo]
url = {json.dumps(repository)}

[server]
bind_address = {json.dumps(options.listen)}
data_dir = {json.dumps(options.data)}

[runtime]
kind = "sandbox"

[images]
host = "{"allow" if options.host_images else "refuse"}"
"""


def _starter(files: Mapping[str, str]) -> Sequence[Step]:
    top = f"{SETTINGS_DIRECTORY}/config"
    directories = [MakeDirectory(top, whole=True, lasting=True)]
    names = sorted({posixpath.dirname(name) for name in files} - {""})
    directories += [MakeDirectory(f"{top}/{name}", lasting=True) for name in names]
    return [*directories, *(WriteFile(f"{top}/{name}", text, once=True, lasting=True) for name, text in files.items())]


def _parents(path: str, *, lasting: bool = False) -> Sequence[Step]:
    """The directories above a path, the outermost first, which usually exist."""
    found = []
    while (path := posixpath.dirname(path)) != "/":
        found.append(MakeDirectory(path, shared=True, lasting=lasting))
    return found[::-1]
