"""What links below `/usr` lead to outside of it: configuration that a package keeps in `/etc`, and others.

Found by reading the links, so that no list of programs has to be kept. Shown are files and directories of `SHOWABLE`
that every user of the machine may read; in place of anything else there is an empty file, so that no link leads
nowhere. The machine's state, homes and sockets are never shown, wherever a link leads.
"""

import os
import stat
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.link_cache import links_of, machine_file, read_links
from danube_pkg.kit.records import Record

SHOWABLE = ("/etc", "/opt")
"""Where packages keep configuration and programs. A link into a home or into /var, as of a developer's own package, is
not a reason to show it."""

WITHHELD = frozenset({"/etc/environment"})
"""Files that every user may read, and that often have credentials: those of a proxy."""

_PRESENT = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/dev", "/proc", "/sys", "/tmp", "/run")
"""What a container has already, or has of its own."""

_MIXED = ("/etc/ssl", "/etc/alternatives")
"""Directories of several packages, of which only what is linked is shown."""

_PACKAGES = Path("/var/lib/dpkg/status")
"""Changes when packages are installed or removed."""

PLACEHOLDER = ".not-shown-to-jobs"
"""The only file of a directory that is not shown."""


class HostLinks(Record):
    """shown: paths to mount read-only. empty: files without content, in place of what is not shown."""

    shown: tuple[str, ...]
    empty: tuple[str, ...]


def host_links(others: Iterable[str]) -> HostLinks:
    """For this machine; others: paths that are mounted anyway. The directories of /usr are examined once in a process,
    and again after packages have changed."""
    version = _PACKAGES.stat().st_mtime_ns if _PACKAGES.exists() else 0
    return select_host_links(Path("/"), _targets_of_usr(version), others)


@lru_cache(maxsize=1)
def _targets_of_usr(version: int) -> Collection[str]:
    """For all images and users of this process. version: of the installed packages."""
    return _outside(links_of(Path("/"), "/usr", machine_file()))


def targets_outside(root: Path, directory: str) -> Collection[str]:
    """Where the links of a tree lead, without what a container has already. root: `/`, or a directory that stands for
    it."""
    return _outside(read_links(root, directory).targets)


def _outside(targets: Iterable[str]) -> Collection[str]:
    return frozenset(target for target in targets if not _is_below(target, _PRESENT))


def select_host_links(root: Path, targets: Iterable[str], others: Iterable[str]) -> HostLinks:
    """What is shown of these targets, and of what links below them lead to. others: paths that are mounted anyway."""
    known = tuple(others)
    shown: set[str] = set()
    empty: set[str] = set()
    pending = [targets]
    while pending:
        for target in sorted(pending.pop()):
            if _is_below(target, (*known, *shown)) or not os.path.lexists(root / target[1:]):
                continue
            path = _whole(root, target)
            mode = os.stat(root / path[1:]).st_mode if os.path.exists(root / path[1:]) else 0
            if _is_showable(path, mode):
                shown.add(path)
                pending += [targets_outside(root, path)] if stat.S_ISDIR(mode) else []
            elif mode:
                empty.add(f"{path}/{PLACEHOLDER}" if stat.S_ISDIR(mode) else path)
    return HostLinks(tuple(sorted(shown)), tuple(sorted(one for one in empty if not _is_below(one, tuple(shown)))))


def _is_showable(path: str, mode: int) -> bool:
    """mode: of the path; 0 if it does not exist. Sockets and devices are not configuration."""
    if path in WITHHELD or not _is_below(path, SHOWABLE):
        return False
    if stat.S_ISDIR(mode):
        return bool(mode & stat.S_IROTH and mode & stat.S_IXOTH)
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def _whole(root: Path, target: str) -> str:
    """The directory of one package below /etc, since its files belong together; elsewhere the target itself."""
    parts = target.split("/")
    own = "/".join(parts[:3])
    whole = (
        len(parts) > 3
        and own not in _MIXED
        and parts[1] == "etc"
        and (root / own[1:]).is_dir()
        and not (root / own[1:]).is_symlink()
    )
    return own if whole and os.stat(root / own[1:]).st_mode & stat.S_IROTH else target


def _is_below(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
