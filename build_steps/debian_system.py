"""A Debian with systemd for tests, `build/debian/system.tar`: what a small server has, and nothing of Danube.

mmdebstrap takes it from the archive that this machine's apt uses, and needs root.
"""

import os
import shutil
import sys

from build_steps.debian_root import TARGET, find_archive, run

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "e2fsprogs",
    "uidmap",
    "ca-certificates",
    "curl",
    "openssl",
    "procps",
)
"""systemd with its bus; what Danube's zipapp and its pods use; what the documents' commands use."""


def main() -> int:
    """Make the file; returns 1 where this machine cannot."""
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        print("a Debian for tests needs root and mmdebstrap: apt-get install mmdebstrap", file=sys.stderr)
        return 1
    archive, release = find_archive()
    TARGET.mkdir(parents=True, exist_ok=True)
    made = TARGET / "system.part.tar"
    run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, str(made), archive)
    os.replace(made, TARGET / "system.tar")
    return 0


if __name__ == "__main__":
    sys.exit(main())
