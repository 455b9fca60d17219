"""Builds what is released, into `dist/`: `python build.py [STEP …]`, every step if none is named.

Each artifact is a module of `build_steps/`.
"""

import argparse
import platform
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from build_steps.binary import build_binary
from build_steps.interpreter import CannotRelocate
from build_steps.proto import generate
from build_steps.staging import make_staging
from build_steps.supervisor import ARCHITECTURES, build_for_release
from build_steps.web import build_page
from build_steps.zipapp import build_zipapp, install_dependencies

ROOT = Path(__file__).resolve().parent


def proto() -> None:
    """The typed stubs of proto/, which are committed."""
    generate()


def supervisor() -> None:
    """The static programs of supervisor/ for each architecture."""
    for arch in ARCHITECTURES:
        place = ROOT / "dist" / "bin" / arch
        shutil.copytree(
            build_for_release(arch), place, ignore=shutil.ignore_patterns("*.made-from"), dirs_exist_ok=True
        )
        print(f"built {place.relative_to(ROOT)}")


def web() -> None:
    """The page, for browsers."""
    print(f"built {build_page().relative_to(ROOT)}")


def zipapp() -> None:
    """Danube in one file, for machines with this Python and this architecture."""
    print(f"built {build_zipapp(_site()).relative_to(ROOT)}")


def binary() -> None:
    """Danube in one file with a Python of its own, for this architecture."""
    print(f"built {build_binary(_site()).relative_to(ROOT)}")


@cache
def _site() -> Path:
    """The staging tree with the packages, once for all steps of one run."""
    arch = platform.machine()
    staging = make_staging(ROOT / "build" / "staging", {arch: build_for_release(arch)}, build_page())
    install_dependencies(staging)
    return staging


STEPS: dict[str, Callable[[], None]] = {
    "proto": proto,
    "supervisor": supervisor,
    "web": web,
    "zipapp": zipapp,
    "binary": binary,
}


def main() -> None:
    """Run the steps that are named, in the order of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = "\n".join(f"{name:12} {step.__doc__}" for name, step in STEPS.items())
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of {', '.join(STEPS)}")
    parser.epilog = f"steps:\n{steps}"
    options = parser.parse_args()
    for name in options.steps:
        if name not in STEPS:
            parser.error(f"no step {name!r}; there are: {', '.join(STEPS)}")
    for name, step in STEPS.items():
        if not options.steps or name in options.steps:
            try:
                step()
            except CannotRelocate as error:
                sys.exit(f"build.py: {error}")


if __name__ == "__main__":
    main()
