"""The tree that packages are made from: `danube_pkg/`, the SDK and the built page, without danube.py.

In the checkout `danube` could mean the entry script or the SDK; in this tree it is the SDK. The static programs lie in
`danube_pkg/bin/<arch>/`, where the runtime searches first.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from build_steps.supervisor import PROGRAMS
from danube_pkg.adapters.keys.release import RELEASE_KEY_NAME

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")

PROVENANCE_PAGES = ("attestations", "builders", "buildtypes")
"""Folders of `docs` whose pages the server serves, since URIs in provenance name them."""


def make_staging(
    target: Path, programs: Mapping[str, Path], page: Path | None = None, release_key: str | None = None
) -> Path:
    """Write the tree to `target`, replacing an earlier one, and return it. programs: architecture → directory of its
    programs. page: the built page. release_key: the public key, as PEM, whose signature upgrades must have."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(ROOT / "danube_pkg", target / "danube_pkg", ignore=LEFT_OUT)
    shutil.copytree(ROOT / "sdk" / "danube", target / "danube", ignore=LEFT_OUT)
    for arch, directory in programs.items():
        place = target / "danube_pkg" / "bin" / arch
        place.mkdir(parents=True)
        for name in PROGRAMS:
            shutil.copy2(directory / name, place / name)
    if page is not None:
        shutil.copytree(page, target / "danube_pkg" / "web", ignore=shutil.ignore_patterns(".*"))
    for folder in PROVENANCE_PAGES:
        shutil.copytree(ROOT / "docs" / folder, target / "danube_pkg" / "docs" / folder)
    if release_key is not None:
        (target / "danube_pkg" / RELEASE_KEY_NAME).write_text(release_key)
    shutil.copy2(ROOT / "LICENSE", target / "danube_pkg" / "LICENSE")
    return target


def compile_tree(tree: Path, names: Sequence[str] = (".",)) -> None:
    """Compile every module, checked by nothing later, with names relative to the tree. In a process of its own: what
    compiled code looks like in a file depends on what else the process holds. names: files or folders in the tree."""
    paths = [str(tree / name) for name in names]
    words = ["-m", "compileall", "-q", "-q", "-f", "-s", str(tree), "--invalidation-mode", "unchecked-hash", *paths]
    subprocess.run([sys.executable, "-I", *words], check=False)  # templates and test data may not compile


def python_tag() -> str:
    """The tag of the interpreter for which packages are compiled, such as `cp311`."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}"
