"""A Python that runs from any directory: a copy of the one that builds, with its standard library and what that needs.

CPython finds its library beside its program. The libraries that its compiled modules need are copied into `lib/`, and
the loader is led there by a search path relative to each file, so that no variable has to be set, which every child
would inherit. Only the GNU C library stays that of the machine.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from build_steps.elf import read_dynamic, set_search

LEFT_OUT = {
    "test": "the tests of Python itself",
    "idlelib": "an editor with windows",
    "tkinter": "windows",
    "turtle": "windows",
    "turtledemo": "windows",
    "_tkinter": "windows",
    "readline": "a library under the GPL; the input of interactive sessions",
    "nis": "removed from Python 3.13, and it needs Kerberos",
    "crypt": "removed from Python 3.13, and its library needs a newer glibc than everything else",
    "_crypt": "see crypt",
    "_dbm": "a library under another licence; dbm.dumb does the same",
    "_gdbm": "a library under the GPL; dbm.dumb does the same",
}
"""Modules of the standard library that a danubefile cannot import from the released program, each with the reason."""

_FOLDERS_LEFT_OUT = ("__pycache__", "site-packages", "config-*", "idle_test")
_TESTS = re.compile(r"_(ctypes_test|test\w+)\..*|xxlimited.*|xxsubtype.*")
_SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libutil|libresolv|ld-linux.*|linux-vdso)\.so.*")
"""The libraries of glibc."""


class CannotRelocate(Exception):
    """This Python cannot be copied; the message says which can."""


def copy_interpreter(target: Path) -> None:
    """Copy the Python that runs this into `target`: `bin/python3` and `lib/`. Raises CannotRelocate."""
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    shared = Path(sys.base_prefix) / "lib" / f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    program = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if ".so" not in library or not shared.is_file() or not program.is_file():
        raise CannotRelocate(
            f"the Python in {sys.base_prefix} has no shared library beside it, which the program is made from\n"
            "  hint: build with a CPython that was configured with --enable-shared, such as pyenv's with"
            " PYTHON_CONFIGURE_OPTS=--enable-shared"
        )
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    place = target / "lib" / stdlib.name
    shutil.copytree(stdlib, place, ignore=_left_out, symlinks=False)
    (target / "bin").mkdir(parents=True)
    shutil.copy(program, target / "bin" / "python3")
    for name in ("python", program.name):
        (target / "bin" / name).symlink_to("python3")
    shutil.copy(shared, target / "lib" / shared.name)
    modules = sorted((place / "lib-dynload").glob("*.so"))
    for file in [target / "bin" / "python3", target / "lib" / shared.name, *modules]:
        _strip(file)
    try:
        set_search(target / "bin" / "python3", "$ORIGIN/../lib")
        set_search(target / "lib" / shared.name, "$ORIGIN")
        for module in modules:
            set_search(module, "$ORIGIN/../..")
    except ValueError as error:
        raise CannotRelocate(str(error)) from error


def _left_out(directory: str, names: Sequence[str]) -> set[str]:
    found = set(shutil.ignore_patterns(*_FOLDERS_LEFT_OUT)(directory, list(names)))
    for name in names:
        module = name.partition(".")[0]
        if Path(directory).name in ("lib-dynload", Path(sysconfig.get_paths()["stdlib"]).name) and (
            module in LEFT_OUT or _TESTS.fullmatch(name)
        ):
            found.add(name)
        if name in ("test", "tests") and (Path(directory) / name).is_dir():
            found.add(name)
    return found


def copy_libraries(tree: Path, target: Path) -> None:
    """Copy what the programs and modules of a tree need beside glibc and what the tree has, from where this machine's
    loader finds it. Raises CannotRelocate."""
    known = _loader_cache()
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    done = {path.name for path in files}
    waiting = [name for file in files for name in _needs(file)]
    while waiting:
        name = waiting.pop()
        if name in done or _SYSTEM.fullmatch(name):
            continue
        done.add(name)
        if name not in known:
            raise CannotRelocate(f"the library {name} is missing on this machine\n  hint: ldconfig -p")
        shutil.copy(known[name].resolve(), target / name)
        (target / name).chmod(0o755)
        waiting += _needs(target / name)


def _needs(file: Path) -> Iterator[str]:
    dynamic = read_dynamic(file)
    return iter(dynamic.needed if dynamic is not None else ())


def _loader_cache() -> Mapping[str, Path]:
    """Name → path of the libraries of this architecture, by ldconfig; the first is the one that the loader takes."""
    printed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    found: dict[str, Path] = {}
    for line in printed.splitlines()[1:]:
        name, _, path = line.strip().partition(" => ")
        if path and ("libc6,x86-64" in name or "libc6,AArch64" in name):
            found.setdefault(name.partition(" ")[0], Path(path))
    return found


def _strip(file: Path) -> None:
    """Without debugging information, if this machine has the program for that."""
    if strip := shutil.which("strip"):
        subprocess.run([strip, "--strip-unneeded", str(file)], check=True)
