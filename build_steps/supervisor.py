"""Builds the static C programs of `supervisor/` and `executable/`: with the host's compiler for development, with
ziglang for releases.

The result lies in `build/bin/<arch>/` beside a fingerprint of its sources; while that matches nothing is built again.
`python -m build_steps.supervisor` builds both programs for this machine, and installs ziglang first where there is no
other compiler.
"""

import hashlib
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from build_steps.locks import exclusive

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "supervisor"
STUB = "danube-start"
"""The program before a packed tree; its sources are in `executable/`."""
PROGRAMS = {"danube-step": "step", "danube-ns": "ns"}
"""Each program and the folder of its own files; files above the folders belong to both."""

ARCHITECTURES = ("x86_64", "aarch64")
"""The released architectures."""

FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wmissing-prototypes", "-O2", "-static", "-s")
_ZIG_FLAGS = (*FLAGS, "-Wno-sign-compare")
"""A macro of musl's headers compares a signed with an unsigned number, which clang reports; gcc still checks our
code."""


class NoCompiler(Exception):
    """There is neither a C compiler that links statically nor the ziglang package."""


def build_supervisor(program: str) -> Path:
    """Build one program for this machine and return its path."""
    return _build(program, platform.machine(), _compiler(), ROOT / "build" / "bin")


def build_for_release(arch: str) -> Path:
    """Build every program for `x86_64` or `aarch64` on any machine; returns their directory.

    Always with ziglang's musl, so that a release does not depend on the machine that builds it.
    """
    fetch_ziglang()
    for program in PROGRAMS:
        _build(program, arch, _zig(arch), ROOT / "build" / "release")
    return ROOT / "build" / "release" / arch


def build_stub(arch: str, *, for_release: bool = True) -> Path:
    """Build the program that a released executable begins with; for tests by this machine's own compiler."""
    if for_release:
        fetch_ziglang()
    directory = ROOT / "build" / ("release" if for_release else "bin")
    return _build(STUB, arch, _zig(arch) if for_release else _compiler(), directory)


def _build(program: str, arch: str, compiler: Sequence[str], directory: Path) -> Path:
    target = directory / arch / program
    made_from = _fingerprint(program, compiler)
    note = target.with_suffix(".made-from")

    def is_current() -> bool:
        return target.exists() and note.exists() and note.read_text() == made_from

    if is_current():
        return target
    with exclusive(target.parent / ".lock"):
        if is_current():  # another process has built it meanwhile
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            built = Path(temporary) / program
            files = [str(file) for file in _files(program) if file.suffix == ".c"]
            subprocess.run([*compiler, "-o", str(built), *files], check=True)
            built.chmod(0o755)
            os.replace(built, target)
        note.write_text(made_from)
    return target


def _files(program: str) -> list[Path]:
    """The sources and headers of a program."""
    if program == STUB:
        return sorted((ROOT / "executable").glob("*.[ch]"))
    return sorted(path for folder in (SOURCES, SOURCES / PROGRAMS[program]) for path in folder.glob("*.[ch]"))


@cache
def _compiler() -> Sequence[str]:
    """The compiler for this machine and its flags. Cached, because each test needs the programs and a
    trial takes 0.1 s."""
    for name in ("musl-gcc", "cc", "gcc", "clang"):
        if shutil.which(name) and _links_statically(name):
            return (name, *FLAGS)
    if importlib.util.find_spec("ziglang") is None:
        raise NoCompiler("no C compiler that links statically: apt-get install gcc libc6-dev, or: make setup")
    return _zig(platform.machine())


def _zig(arch: str) -> Sequence[str]:
    return (sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-linux-musl", *_ZIG_FLAGS)


def _links_statically(compiler: str) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "probe.c"
        source.write_text("int main(void) { return 0; }\n")
        words = [compiler, "-static", "-o", str(source.with_suffix("")), str(source)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0


def fetch_ziglang() -> None:
    """Install the compiler of the release lock file unless it is installed: a download of 100 MB, so only where
    needed."""
    if importlib.util.find_spec("ziglang") is None:
        print("Fetching a C compiler, which takes a minute (ziglang, requirements-release.lock)", flush=True)
        words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
        subprocess.run([*words, "-r", str(ROOT / "requirements-release.lock")], check=True)
        importlib.invalidate_caches()


def _fingerprint(program: str, compiler: Sequence[str]) -> str:
    hash_ = hashlib.sha256(" ".join(compiler).encode())
    for path in _files(program):
        hash_.update(path.read_bytes())
    return hash_.hexdigest()


def main() -> None:
    """Build both programs for this machine."""
    try:
        _compiler()
    except NoCompiler:
        fetch_ziglang()
    for program in PROGRAMS:
        build_supervisor(program)


if __name__ == "__main__":
    main()
