"""A small Debian for tests: its root file system as `build/debian/root.tar`, and one package file beside it.

debootstrap takes it from the archive that this machine's apt uses, and needs root.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "build" / "debian"
PACKAGE = "hello"
"""A small package without dependencies, which no root file system contains."""


def main() -> int:
    """Make both files; returns 1 where this machine cannot."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("a Debian for tests needs root and debootstrap: apt-get install debootstrap", file=sys.stderr)
        return 1
    archive, release = find_archive()
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as name:
        root, package = Path(name) / "root", Path(name)
        run("debootstrap", "--variant=minbase", release, str(root), archive)
        run("apt-get", "download", "-q", PACKAGE, directory=package)
        run("tar", "--one-file-system", "--xattrs", "-cf", str(package / "root.tar"), "--exclude", "./var/cache/apt/archives/*.deb",
             "--exclude", "./var/lib/apt/lists/*", "-C", str(root), ".")  # fmt: skip
        os.replace(next(package.glob(f"{PACKAGE}_*.deb")), TARGET / f"{PACKAGE}.deb")
        os.replace(package / "root.tar", TARGET / "root.tar")
    return 0


def find_archive() -> tuple[str, str]:
    """(address of Debian's archive, release), from the settings of this machine's apt."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    known = run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    codename = release["VERSION_CODENAME"].strip('"')
    for line in known.splitlines():
        site, name, component = line.split()
        if (name, component) == (codename, "main"):
            return site, codename
    raise SystemExit(f"apt knows no archive of {codename}: apt-get update")


def run(*words: str, directory: Path | None = None) -> str:
    """What a command prints; the program ends with it where the command fails."""
    done = subprocess.run(
        words, cwd=directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
