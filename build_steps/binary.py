"""`dist/danube-linux-ARCH`: Danube in one file, with its own Python, for any Linux with the GNU C library.

The file is a static program (`executable/`), a packed tree and a footer. The tree has `python/` (`interpreter.py`),
`site/` (the staging tree with the packages of the lock file) and `start.py`. The program unpacks the tree once, into a
directory named by the hash of its content. docs/decisions/030-bundled-interpreter.md says why this is not a frozen
program. The same tree gives the same bytes.
"""

import hashlib
import os
import platform
import re
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from build_steps.elf import Glibc, read_dynamic
from build_steps.interpreter import copy_interpreter, copy_libraries
from build_steps.staging import ROOT, compile_tree
from build_steps.supervisor import ARCHITECTURES, build_stub
from build_steps.zipapp import COMPRESSION_LEVEL

MAGIC = b"DANUBE\1\n"
_FOOTER = struct.Struct("<QQ32s8s")
_HEADER = struct.Struct("<cxHIQ")


def build_tree(site: Path, tree: Path = ROOT / "build" / "executable" / "tree") -> Path:
    """Write `tree` from a staging tree with Danube and its packages, and a copy of the Python that runs this.

    The architecture is this machine's: a Python of another one cannot be copied from here.
    """
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir(parents=True)
    copy_interpreter(tree / "python")
    shutil.copytree(site, tree / "site", ignore=shutil.ignore_patterns("__pycache__"))
    copy_libraries(tree, tree / "python" / "lib")
    (tree / "start.py").write_text(start_text(newest_glibc(tree)[0]))
    compile_tree(tree)
    return tree


def start_text(glibc: Glibc) -> str:
    """The first module of the program, which refuses a GNU C library that is older than this."""
    text = (Path(__file__).resolve().parent / "start.py").read_text()
    return re.sub(r"^GLIBC = .*$", f"GLIBC = {glibc}", text, flags=re.MULTILINE)


def build_binary(tree: Path, target: Path | None = None) -> Path:
    """Pack the tree, and return the file."""
    target = target or ROOT / "dist" / f"danube-linux-{platform.machine()}"
    pack(tree, build_stub(platform.machine()), target)
    return target


def unproven(machine: str) -> list[str]:
    """A line for each released architecture that a build on `machine` does not make."""
    return [
        f"not built: danube-linux-{one}; build it on such a machine; unproven, since none was run so far"
        for one in ARCHITECTURES
        if one != machine
    ]


def pack(tree: Path, stub: Path, target: Path, level: int = COMPRESSION_LEVEL) -> None:
    """Write the file from a tree and the static program that unpacks it. level: of compression, 1 to 9."""
    program = stub.read_bytes()
    digest, packer = hashlib.sha256(), zlib.compressobj(level)
    packed = bytearray()
    for piece in _archive(tree):
        digest.update(piece)
        packed += packer.compress(piece)
    packed += packer.flush()
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}.new")
    footer = _FOOTER.pack(len(program), len(packed), digest.hexdigest()[:32].encode(), MAGIC)
    made.write_bytes(program + packed + footer)
    made.chmod(0o755)
    made.replace(target)


def newest_glibc(tree: Path) -> tuple[Glibc, Path]:
    """The newest version of glibc that a program or library of the tree needs, and one that needs it."""
    found = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink() and (dynamic := read_dynamic(path)) and dynamic.glibc:
            found.append((dynamic.glibc, path))
    return max(found)


def _archive(tree: Path) -> Iterator[bytes]:
    """The entries in the form of `executable/archive.h`, in an order that does not depend on the disk. Modes are those
    of a program or of a plain file: nothing else of the building machine gets into it."""
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree)).encode()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(path).encode()
            yield _HEADER.pack(b"l", 0o777, len(name), len(target)) + name + target
        elif stat.S_ISDIR(mode):
            yield _HEADER.pack(b"d", 0o755, len(name), 0) + name
        else:
            content = path.read_bytes()
            yield _HEADER.pack(b"f", 0o755 if mode & 0o111 else 0o644, len(name), len(content)) + name + content
