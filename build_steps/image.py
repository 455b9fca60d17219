"""`dist/danube-image-ARCH.tar`: Danube as a container image (an OCI archive), for `docker load` and `podman load`.

It has the tree of the released program, the GNU C library, a shell, and the starter of a configuration, with which it
serves at once; no package manager and no other program. It is
written with tarfile only, and the same tree gives the same bytes. It runs as a user without rights (1000).
"""

import platform
from pathlib import Path

from build_steps.staging import ROOT
from danube_pkg.adapters.coordinator_image.archive import ImageRecipe, WrittenImage, write_image
from danube_pkg.adapters.coordinator_image.elf import read_elf
from danube_pkg.adapters.coordinator_image.entries import ImageTree
from danube_pkg.adapters.coordinator_image.libraries import LibraryFinder
from danube_pkg.cli.starters import configuration
from danube_pkg.core.images.manifests import platform_of

USER = 1000
"""User and group. A number, so that a cluster can see that it is not root."""

PLACE = "opt/danube"
HOME = "/home/danube"
DATA = "/var/lib/danube"

COMMAND = f"""#!/bin/sh
exec /{PLACE}/python/bin/python3 -I -S /{PLACE}/start.py /usr/bin/danube "$@"
"""

SETTINGS = """# The starter of Danube's image. With a directory of your own mounted at /etc/danube this one is not seen.
# All keys: docs/configuration.md

[config_repo]
url = "config" # the directory beside this file, or the URL of a Git repository
"""

_ROOT_LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib", "usr/lib64": "lib"}

_C_LIBRARY = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2",
    "libnss_files.so.2", "libnss_dns.so.2",
)  # fmt: skip
"""What modules and packages may need of glibc; older releases have some of it in files of their own."""


def build_image(tree: Path, version: str, target: Path | None = None, shell: Path = Path("/bin/sh")) -> WrittenImage:
    """Write the image. tree: that of the released program (`binary.build_tree`). Raises LibraryMissing, OSError."""
    target = target or ROOT / "dist" / f"danube-image-{platform.machine()}.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}.new")
    written = write_image(made, _contents(tree, shell.resolve()), _recipe(version))
    made.replace(target)
    return written


def _recipe(version: str) -> ImageRecipe:
    return ImageRecipe(
        name=f"danube.internal/danube:{version.replace('+', '_')}",
        platform=platform_of(platform.machine()),
        labels={
            "org.opencontainers.image.title": "Danube",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
        environment={"PATH": "/usr/bin", "HOME": HOME, "LANG": "C.UTF-8"},
        command=("/usr/bin/danube", "serve", "--data", DATA, "--listen", "0.0.0.0:8080"),
        user=f"{USER}:{USER}",
        working_directory=HOME,
        made_by="build.py image",
    )


def _contents(tree: Path, shell: Path) -> ImageTree:
    image = ImageTree(_ROOT_LINKS)
    for path in sorted(tree.rglob("*")):
        place = f"{PLACE}/{path.relative_to(tree)}"
        if path.is_symlink():
            image.add_link(place, str(path.readlink()))
        elif path.is_dir():
            image.add_directory(place)
        else:
            image.add_file(place, path, executable=bool(path.stat().st_mode & 0o111))
    _add_programs(image, [tree / "python" / "bin" / "python3", shell])
    image.add_file("usr/bin/sh", shell, executable=True)
    image.add_content("usr/bin/danube", COMMAND.encode(), executable=True)
    accounts = f"root:x:0:0:root:/root:/bin/sh\ndanube:x:{USER}:{USER}:danube:{HOME}:/bin/sh\n"
    image.add_content("etc/passwd", accounts.encode())
    image.add_content("etc/group", f"root:x:0:\ndanube:x:{USER}:\n".encode())
    image.add_content("etc/nsswitch.conf", b"hosts: files dns\n")
    image.add_directory("tmp", 0o1777)
    for own in (HOME, DATA):
        image.add_directory(own, 0o700, owner=USER)
    image.add_content("etc/danube/danube.toml", SETTINGS.encode())
    for name, text in configuration().items():
        image.add_content(f"etc/danube/config/{name}", text.encode())
    for empty in ("/dev", "/mnt", "/proc", "/sys"):
        image.add_directory(empty)
    return image


def _add_programs(image: ImageTree, programs: list[Path]) -> None:
    """The loader and the C library of this machine, and what else the programs need that is not beside them."""
    for program in programs:
        elf = read_elf(program)
        if elf is None:
            raise OSError(f"{program} is not a program")
        if elf.loader:
            image.add_file(elf.loader, Path(elf.loader).resolve(), executable=True)
        finder = LibraryFinder(elf.kind, [], [program.parent.parent])
        for library in finder.closure(program, elf):
            if program.parent.parent not in library.path.parents:
                image.add_file(f"usr/lib/{library.name}", library.path.resolve())
        for name in _C_LIBRARY:
            if (found := finder.find(name)) is not None:
                image.add_file(f"usr/lib/{name}", found.path.resolve())
