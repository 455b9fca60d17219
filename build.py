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

from build_steps.binary import build_binary, build_tree, unproven
from build_steps.image import build_image
from build_steps.interpreter import CannotRelocate
from build_steps.proto import generate
from build_steps.sbom import document_name, write_sbom
from build_steps.signing import SourceUnclear, sign_release, source_of, write_checksums
from build_steps.staging import make_staging
from build_steps.supervisor import ARCHITECTURES, build_for_release
from build_steps.web import build_page
from build_steps.zipapp import build_zipapp, install_dependencies, version
from danube_pkg.adapters.keys.signing import public_key_of, read_private_key
from danube_pkg.core.errors import PlatformError

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
    print("\n".join([f"built {build_binary(_tree()).relative_to(ROOT)}", *unproven(platform.machine())]))


def image() -> None:
    """Danube as a container image, for this architecture."""
    print(f"built dist/danube-image-{platform.machine()}.tar ({build_image(_tree(), version()).digest})")


def sbom() -> None:
    """The list of what is inside of them, as CycloneDX."""
    target = ROOT / "dist" / document_name()
    print(f"built {write_sbom(_site(), _tree(), version(), target).relative_to(ROOT)}")


def checksums() -> None:
    """SHA256SUMS."""
    print(f"built {write_checksums(ROOT / 'dist').relative_to(ROOT)}")


def provenance() -> None:
    """The signed statements about all of them; needs --signing-key."""
    key = read_private_key(Path(OPTIONS["signing_key"]))
    for path in sign_release(ROOT / "dist", key, source_of(ROOT), version()):
        print(f"built {path.relative_to(ROOT)}")


def _release_key() -> str | None:
    """The public key that is built into the program."""
    if OPTIONS["signing_key"]:
        return public_key_of(read_private_key(Path(OPTIONS["signing_key"])).public_key()).pem
    return Path(OPTIONS["release_key"]).read_text() if OPTIONS["release_key"] else None


@cache
def _tree() -> Path:
    """The tree of the program and the image."""
    return build_tree(_site())


@cache
def _site() -> Path:
    """The staging tree with the packages, once for all steps of one run."""
    arch = platform.machine()
    staging = make_staging(ROOT / "build" / "staging", {arch: build_for_release(arch)}, build_page(), _release_key())
    install_dependencies(staging)
    return staging


STEPS: dict[str, Callable[[], None]] = {
    "proto": proto,
    "supervisor": supervisor,
    "web": web,
    "zipapp": zipapp,
    "binary": binary,
    "image": image,
    "sbom": sbom,
    "checksums": checksums,
    "provenance": provenance,
}

OPTIONS = {"signing_key": "", "release_key": ""}
"""Files of keys, by the command line."""


def main() -> None:
    """Run the steps that are named, in the order of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = "\n".join(f"{name:12} {step.__doc__}" for name, step in STEPS.items())
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of {', '.join(STEPS)}")
    parser.epilog = f"steps:\n{steps}"
    parser.add_argument("--signing-key", metavar="FILE", default="", help="an Ed25519 key in PEM, to sign with")
    parser.add_argument(
        "--release-key", metavar="FILE", default="", help="its public half, where it is signed elsewhere"
    )
    options = parser.parse_args()
    OPTIONS.update(signing_key=options.signing_key, release_key=options.release_key)
    for name in options.steps:
        if name not in STEPS:
            parser.error(f"no step {name!r}; there are: {', '.join(STEPS)}")
    if "provenance" in options.steps and not options.signing_key:
        parser.error("provenance needs --signing-key FILE; make one: openssl genpkey -algorithm ed25519 -out FILE")
    for name, step in STEPS.items():
        wanted = name in options.steps or (not options.steps and (name != "provenance" or options.signing_key))
        if wanted:
            try:
                step()
            except (CannotRelocate, SourceUnclear, PlatformError) as error:
                sys.exit(f"build.py: {error}")


if __name__ == "__main__":
    main()
