"""`dist/danube-PYTHON-ARCH.pyz`: Danube in one file, for a machine with that version of Python.

The file is a zip archive behind a `#!` line. Compiled packages and static programs cannot run from inside an archive,
so the first start unpacks it into a directory that is named by the content's hash, and later starts only check that
this exists. Everything but the launcher lies in an inner archive, because Python reads the whole directory of the
outer one at each start: 15 ms for two thousand members. The same tree gives the same bytes.
"""

import hashlib
import io
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from build_steps.staging import ROOT, compile_tree, python_tag

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every member: the oldest that a zip archive can hold."""

COMPRESSION_LEVEL = 9
"""The best compression: built once, downloaded often."""

_LAUNCHER = Path(__file__).resolve().parent / "launcher.py"


UNUSED = tuple(f"kubernetes/{part}/{name}" for part in ("client", "aio/client") for name in ("api", "models"))
"""Packages whose modules Danube never imports: the typed forms of every Kubernetes object, 110 MB of 126."""


OLDEST_GLIBC = 28
"""2.28, that of RHEL 8: what the compiled packages of a release may need. pip would choose by the builder's glibc."""


def wheel_options(machine: str) -> list[str]:
    """Options of pip for packages that run with this Python on every supported system of that architecture."""
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(OLDEST_GLIBC, 16, -1)] + [f"manylinux2014_{machine}"]
    python = ["--implementation", "cp", "--python-version", "{}.{}".format(*sys.version_info)]
    return ["--only-binary", ":all:", *python, *(word for name in names for word in ("--platform", name))]


def install_dependencies(target: Path, lock: Path = ROOT / "requirements.lock") -> None:
    """Install the packages of the lock file, checking their hashes, without what only builds need."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = target / "requirements.txt"
    wanted.write_text("".join(block for block in _blocks(lock.read_text()) if not block.startswith("setuptools==")))
    words = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-compile",
        "--no-deps",
        *wheel_options(platform.machine()),
    ]
    subprocess.run([*words, "--require-hashes", "--target", str(target), "-r", str(wanted)], check=True)
    wanted.unlink()
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts that name this machine's Python in their first line
    remove_unused(target)


def remove_unused(site: Path) -> None:
    """Remove the modules of UNUSED, but not the packages themselves, which others import."""
    for package in UNUSED:
        for module in (site / package).glob("*.py"):
            if module.name != "__init__.py":
                module.unlink()


def build_zipapp(staging: Path, target: Path | None = None) -> Path:
    """Pack a staging tree with Danube and its dependencies, and return the file."""
    target = target or ROOT / "dist" / f"danube-{python_tag()}-{platform.machine()}.pyz"
    target.parent.mkdir(parents=True, exist_ok=True)
    compile_tree(staging)
    launcher = _LAUNCHER.read_text()
    for name, value in (("CONTENT", _hash_of(staging)), ("PYTHON", python_tag()), ("MACHINE", platform.machine())):
        launcher = re.sub(rf'^{name} = ".*"$', f'{name} = "{value}"', launcher, flags=re.MULTILINE)
    site = io.BytesIO()
    with zipfile.ZipFile(site, "w", compresslevel=COMPRESSION_LEVEL) as archive:
        for path in _files(staging):
            mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
            _add(archive, str(path.relative_to(staging)), path.read_bytes(), zipfile.ZIP_DEFLATED, mode)
    made = target.with_suffix(".new")
    with made.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as archive:
            _add(archive, "__main__.py", launcher.encode(), zipfile.ZIP_STORED)
            _add(archive, "site.zip", site.getvalue(), zipfile.ZIP_STORED)  # stored, so that it can be read in place
    made.chmod(0o755)
    made.replace(target)
    return target


def version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _blocks(lock: str) -> Iterator[str]:
    """The blocks of a lock file: the line of a pinned package and its hashes."""
    return (block for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE) if "==" in block)


def _files(tree: Path) -> list[Path]:
    return sorted(path for path in tree.rglob("*") if path.is_file())


def _add(archive: zipfile.ZipFile, name: str, data: bytes, compression: int, mode: int = 0o644) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = mode << 16
    archive.writestr(member, data, compression)


def _hash_of(tree: Path) -> str:
    found = hashlib.sha256()
    for path in _files(tree):
        found.update(f"{path.relative_to(tree)}\0{path.stat().st_mode & 0o111 != 0}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:32]
