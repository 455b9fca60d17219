"""Collects what the coordinator needs: interpreter, standard library, packages, a shell, and their shared libraries.

All shared libraries lie in one directory that each loader searches without a configuration: `/lib`, `/lib64` and others
are links to `/usr/lib`. The loader lies where the header of the interpreter expects it. Modules are compiled, since a
coordinator that cannot write beside them would compile them at each start: a second in place of a third of one. A
module of the standard library whose libraries this machine does not have cannot be imported on it either, and is left
out.
"""

import importlib.util
import marshal
import warnings
from collections.abc import Iterator
from pathlib import Path

from danube_pkg.adapters.coordinator_image.elf import BadElf, ElfFile, read_elf
from danube_pkg.adapters.coordinator_image.entries import ImageTree
from danube_pkg.adapters.coordinator_image.libraries import OPENED_LATER, LibraryFinder, LibraryMissing
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.coordinator import CODE_PATH, COORDINATOR_USER, SUPERVISOR_PATH, CoordinatorFiles

ROOT_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib",
    "usr/lib64": "lib",
    "usr/sbin": "bin",
}

LEFT_OUT = frozenset(
    {
        "__pycache__", "site-packages", "dist-packages", "test", "tests", "testdata", "idlelib", "tkinter", "turtledemo",
        "ensurepip", "bin",
    }
)  # fmt: skip
"""Directories of the standard library and of packages that no danubefile needs: tests, windows, installers."""

_LEFT_OUT_FILES = ("sitecustomize.py", "usercustomize.py")
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo", ".a", ".o", ".exe", ".pyi"})
_LEFT_OUT_MODULES = ("_test", "_tkinter", "_ctypes_test", "xxlimited", "_xx")

MARSHAL_VERSION = 2
"""The newest form of compiled code that has no references between objects: those of later ones depend on what else the
compiling process holds, so that the same source would not give the same bytes."""

HOME = "/home/danube"


def collect(program: CoordinatorFiles) -> ImageTree:
    """The files of the image. Raises Permanent with reference `coordinator-image-failed`."""
    try:
        return _Collection(program).tree()
    except LibraryMissing as error:
        raise _failed(str(error), "install the library, or make the image with the program of a release") from error
    except (BadElf, OSError) as error:
        raise _failed(str(error), "make the image on a machine where `danube run` works") from error


class _Collection:
    def __init__(self, program: CoordinatorFiles) -> None:
        self._program = program
        self._tree = ImageTree(ROOT_LINKS)
        self._interpreter = _program_of(program.interpreter.resolve())
        search = [Path(one) for one in self._interpreter.search if one.startswith("/")]
        beside = program.interpreter.resolve().parent.parent / program.library_directory
        trees = [*program.standard_library, *(path for path, _ in program.packages)]
        self._libraries = LibraryFinder(self._interpreter.kind, [*search, beside, *program.libraries], trees)

    def tree(self) -> ImageTree:
        program = self._program
        python = f"usr/bin/python{program.version}"
        self._add_program(python, program.interpreter.resolve(), self._interpreter)
        self._tree.add_link("usr/bin/python3", f"python{program.version}")
        shell = program.shell.resolve()
        self._add_program("usr/bin/sh", shell, _program_of(shell))
        self._tree.add_file(SUPERVISOR_PATH.lstrip("/"), program.supervisor, executable=True)
        for name in OPENED_LATER:
            if (library := self._libraries.find(name)) is not None:
                self._tree.add_file(f"usr/lib/{name}", library.path)
        for directory in program.standard_library:
            self._add_tree(directory, f"usr/{program.library_directory}/python{program.version}")
        for path, place in program.packages:
            self._add_tree(path, f"{CODE_PATH}/{place}")
        self._add_user()
        return self._tree

    def _add_program(self, place: str, path: Path, elf: ElfFile) -> None:
        self._tree.add_file(place, path, executable=True)
        if elf.loader:
            self._tree.add_file(elf.loader, Path(elf.loader).resolve(), executable=True)
        self._add_libraries(path, elf)

    def _add_libraries(self, path: Path, elf: ElfFile) -> None:
        """The loader may be among them, by its own name and the same file."""
        for library in self._libraries.closure(path, elf):
            self._tree.add_file(f"usr/lib/{library.name}", library.path.resolve())

    def _add_tree(self, path: Path, place: str) -> None:
        """A package's directory, or a module's file."""
        is_standard = path in self._program.standard_library
        for source in [path] if path.is_file() else _files(path):
            target = place if path.is_file() else f"{place}/{source.relative_to(path)}"
            elf = read_elf(source) if ".so" in source.suffixes else None
            if elf is not None:
                try:
                    self._add_libraries(source, elf)
                except LibraryMissing:
                    if is_standard:
                        continue
                    raise
            self._tree.add_file(target, source)
            if source.suffix == ".py":
                self._add_compiled(target, source)

    def _add_compiled(self, target: str, source: Path) -> None:
        """The compiled form, which is never checked against its source (PEP 552)."""
        text = source.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                code = compile(text, f"/{target.lstrip('/')}", "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                return  # a template, or a test of the parser
        head = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little") + importlib.util.source_hash(text)
        self._tree.add_content(
            importlib.util.cache_from_source(f"/{target.lstrip('/')}"), head + marshal.dumps(code, MARSHAL_VERSION)
        )

    def _add_user(self) -> None:
        user = COORDINATOR_USER
        accounts = f"root:x:0:0:root:/root:/bin/sh\ndanube:x:{user}:{user}:danube:{HOME}:/bin/sh\n"
        self._tree.add_content("etc/passwd", accounts.encode())
        self._tree.add_content("etc/group", f"root:x:0:\ndanube:x:{user}:\n".encode())
        self._tree.add_content("etc/nsswitch.conf", b"hosts: files dns\n")
        self._tree.add_directory("tmp", 0o1777)
        for path in (HOME, "/workspace"):
            self._tree.add_directory(path, owner=user)
        for path in ("/.danube", "/dev", "/proc", "/sys"):
            self._tree.add_directory(path)


def _program_of(path: Path) -> ElfFile:
    elf = read_elf(path)
    if elf is None:
        raise _failed(f"{path} is a script, not a program", "make the image with another Python")
    return elf


def _files(directory: Path) -> Iterator[Path]:
    """The files of a package that the image gets, in the order of their names."""
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            if path.name not in LEFT_OUT and not path.name.startswith(("config-", ".")):
                yield from _files(path)
        elif path.is_file() and _is_wanted(path):
            yield path


def _is_wanted(path: Path) -> bool:
    is_test = ".so" in path.suffixes and path.name.startswith(_LEFT_OUT_MODULES)
    return path.suffix not in _LEFT_OUT_SUFFIXES and path.name not in _LEFT_OUT_FILES and not is_test


def _failed(cause: str, hint: str) -> Permanent:
    return Permanent("coordinator-image-failed", "the coordinator image could not be made", cause=cause, hint=hint)
