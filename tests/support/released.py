"""The released programs of this tree, built once for each state of its sources, whichever worker needs them first.

They are made as `build.py` makes them, with a page if one is built, and pin a key whose other half the tests have. A
build takes minutes, so every test of a whole program takes it from here; none takes what lies in `dist/`, which may be
of other sources.
"""

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from build_steps.binary import build_tree, pack
from build_steps.locks import exclusive
from build_steps.staging import PROVENANCE_PAGES, ROOT, compile_tree, make_staging
from build_steps.supervisor import build_for_release, build_stub
from build_steps.web import BUILT
from build_steps.zipapp import build_zipapp, install_dependencies
from danube_pkg import __version__
from danube_pkg.kit.digests import digest_of_file
from tests.support.releases import release_provenance

PLACE = ROOT / "build" / "released"
SOURCES = ("danube_pkg", "sdk/danube", "build_steps", "executable", "supervisor", "requirements.lock", "build/web/.made-from",
           *(f"docs/{name}" for name in PROVENANCE_PAGES))  # fmt: skip
TREE_COMPRESSION = 1
"""The fastest: these files are not downloaded."""

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"releases of tests").digest())
"""The key that the programs pin."""

NEWER_VERSION = "99.0.0"

Changes = Mapping[str, tuple[str, str]]
"""By a file below `danube_pkg`: the text that is replaced, and by what."""

NEWER: Changes = {
    "__init__.py": (f'__version__ = "{__version__}"', f'__version__ = "{NEWER_VERSION}"'),
    "adapters/store/migrations.py": ('""",\n)\n', '""",\n    "CREATE TABLE newer (a INTEGER) STRICT;",\n)\n'),
}
_OPENED = "    async with AsyncExitStack()"
BROKEN: Changes = {**NEWER, "bootstrap/trial.py": (_OPENED, f"    raise OSError('as a test wants it')\n{_OPENED}")}


class ReleasedPrograms:
    """A finished build. tree: what the program unpacks. zipapp, present: the program as it is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.tree, self.zipapp, self.present = directory / "tree", directory / "danube.pyz", directory / "present"

    @cached_property
    def newer(self) -> Path:
        """A newer version with one more migration."""
        return self._changed("newer", NEWER)

    @cached_property
    def broken(self) -> Path:
        """The newer version, whose trial fails."""
        return self._changed("broken", BROKEN)

    def _changed(self, name: str, changes: Changes) -> Path:
        target = self._directory / name
        with exclusive(self._directory / f".{name}.lock"):
            if not target.exists():
                tree = self._directory / f"{name}-tree"
                shutil.rmtree(tree, ignore_errors=True)
                shutil.copytree(self.tree, tree, symlinks=True, copy_function=os.link)
                for file, (old, new) in changes.items():
                    _replace(tree / "site" / "danube_pkg" / file, old, new)
                compile_tree(tree, [f"site/danube_pkg/{file}" for file in changes])
                _pack(tree, target)
                shutil.rmtree(tree)
        return target


def released_programs() -> ReleasedPrograms:
    """Those of the present sources; an older build is removed."""
    directory = PLACE / _hash_of_sources()
    with exclusive(PLACE.with_name(".released.lock")):
        if not directory.exists():
            shutil.rmtree(PLACE, ignore_errors=True)
            part = PLACE / "part"
            _build(part)
            part.rename(directory)
    return ReleasedPrograms(directory)


def write_provenance(program: Path) -> None:
    """Write the signed provenance of a program beside it."""
    content = release_provenance(KEY, program.name, digest_of_file(program).sha256)
    program.with_name(f"{program.name}.intoto.jsonl").write_bytes(content)


def _build(directory: Path) -> None:
    machine = platform.machine()
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    page = BUILT if BUILT.exists() else None
    staging = make_staging(directory / "staging", {machine: build_for_release(machine)}, page, public)
    install_dependencies(staging)
    build_zipapp(staging, directory / "danube.pyz")
    _pack(build_tree(staging, directory / "tree"), directory / "present")


def _pack(tree: Path, target: Path) -> None:
    pack(tree, build_stub(platform.machine()), target, level=TREE_COMPRESSION)


def _replace(path: Path, old: str, new: str) -> None:
    """In a file of its own: the tree shares its files with the one that it was copied from."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path}: {old!r}"
    path.unlink()
    path.write_text(text.replace(old, new))


def _hash_of_sources() -> str:
    found = hashlib.sha256(sys.version.encode())
    for name in SOURCES:
        top = ROOT / name
        for path in [top, *sorted(top.rglob("*"))]:
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:32]
