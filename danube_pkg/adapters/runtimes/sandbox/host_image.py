"""The image `host`: the machine's own programs, read-only, by an allowlist; never its state, home directories or
sockets.

That is `/usr` with the links into it and what its own links lead to, named files of `/etc`, the Python that runs
Danube, and what `danube.toml` adds. Files of `/etc` that often have credentials are not among them: `pip.conf` may have
an index's password, and `ssl/private` has keys.
"""

from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.host_links import host_links
from danube_pkg.kit.records import Record

_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "ImageMagick-6",
    "ImageMagick-7",
    "alternatives",
    "ca-certificates",
    "chromium.d",
    "debian_version",
    "fonts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mailcap",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "perl",
    "protocols",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "texmf",
    "timezone",
)
HOME = "/home/danube"

_PAM = """\
auth sufficient pam_rootok.so
auth required pam_deny.so
account required pam_permit.so
session required pam_permit.so
password required pam_deny.so
"""
"""For every service: root of the pod may become another user (`su`, `runuser`), others may not. There are no passwords,
and the machine's own rules would need its shadow file, its limits and its login records."""


class RootFileSystem(Record):
    """What a container's root consists of.

    binds: (source, path) of read-only mounts. links: (target, path) of symbolic links. files: (path, content).
    """

    binds: Sequence[tuple[Path, str]]
    links: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str]]
    environment: Sequence[tuple[str, str]]


def host_root(python_prefix: Path, extra: Sequence[Path], *, user: int, host_network: bool) -> RootFileSystem:
    """The root of the machine's own programs. extra: further paths of the host; the
    programs in their `bin` are found by name, before the machine's. user: the user id of steps."""
    binds = [(Path("/usr"), "/usr")]
    links = []
    for name in _LINKS:
        path = Path("/") / name
        if path.is_symlink():
            links.append((str(path.readlink()), str(path)))
        elif path.is_dir():
            binds.append((path, str(path)))
    network_files = ("resolv.conf", "hosts") if host_network else ()
    for name in (*_ETC, *network_files):
        path = Path("/etc") / name
        if path.exists():
            binds.append((path.resolve() if path.is_symlink() else path, str(path)))
    links_of_usr = host_links([target for _, target in binds] + [path for path, _ in _own_files(user, host_network)])
    binds += [(Path(path), path) for path in links_of_usr.shown]
    prefixes = [python_prefix] if not python_prefix.is_relative_to("/usr") else []
    binds += [(path, str(path)) for path in (*prefixes, *extra) if path.exists()]
    search = ":".join(
        [
            *(f"{prefix}/bin" for prefix in prefixes),
            *_programs_of(extra),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
    )
    files = [*_own_files(user, host_network), *((path, "") for path in links_of_usr.empty)]
    return RootFileSystem(binds, links, files, _environment(search))


def _programs_of(extra: Sequence[Path]) -> list[str]:
    """The directories of programs among further paths: `bin` below one, and one that is called so."""
    return [str(one) for path in extra for one in (path / "bin", path) if one.name == "bin" and one.is_dir()]


def _own_files(user: int, host_network: bool) -> list[tuple[str, str]]:
    users = {0: ("root", HOME), user: ("root" if user == 0 else "danube", HOME), 65534: ("nobody", "/nonexistent")}
    passwd = "".join(f"{name}:x:{uid}:{uid}:{name}:{home}:/bin/sh\n" for uid, (name, home) in users.items())
    group = "".join(f"{name if name != 'nobody' else 'nogroup'}:x:{uid}:\n" for uid, (name, _) in users.items())
    files = [("/etc/passwd", passwd), ("/etc/group", group), ("/etc/hostname", "danube\n"), ("/etc/pam.d/other", _PAM)]
    if not host_network:
        files.append(("/etc/hosts", "127.0.0.1 localhost danube\n::1 localhost\n"))
    return files


def _environment(path: str) -> list[tuple[str, str]]:
    return [("PATH", path), ("HOME", HOME), ("LANG", "C.UTF-8"), ("CI", "true"), ("DANUBE", "true")]
