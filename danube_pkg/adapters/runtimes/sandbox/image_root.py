"""The root of a container that has an image: what is mounted over the image's files, and the environment.

The image itself is shared by all pods and never written to. Where this machine has overlays, a container's changes
are a layer in the pod's directory; elsewhere the container gets a copy of the image
(image_copy.py).
"""

import os
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.host_image import RootFileSystem
from danube_pkg.core.images.reference import Image
from danube_pkg.core.images.users import ImageUser
from danube_pkg.kit.records import Record

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Overlay(Record):
    """Directories of one overlay mount: `upper` over `lower`, mounted at `target`."""

    target: Path
    lower: Path
    upper: Path
    work: Path

    def arguments(self) -> list[str]:
        """The order in which danube-ns takes them."""
        return [str(path) for path in (self.target, self.lower, self.upper, self.work)]


def image_root(image: Image, user: ImageUser, *, host_network: bool, own_tree: bool) -> RootFileSystem:
    """What every container has beside its image's files: the environment, the host's name and addresses. own_tree: the
    user owns the workspace."""
    environment = dict(image.config.environment)
    environment.setdefault("PATH", _PATH)
    environment.setdefault("HOME", user.home)
    if not own_tree and "GIT_CONFIG_COUNT" not in environment:
        # Git trusts only trees of the user who runs it unless configured otherwise.
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
    environment |= {"CI": "true", "DANUBE": "true"}
    files = [("/etc/hostname", "danube\n")]
    binds: list[tuple[Path, str]] = []
    if host_network:
        named = [Path("/etc") / name for name in ("resolv.conf", "hosts")]
        binds = [(path.resolve(), str(path)) for path in named if path.exists()]
    else:
        files.append(("/etc/hosts", "127.0.0.1 localhost danube\n::1 localhost\n"))
    return RootFileSystem(binds, [], files, list(environment.items()))


def overlay_of(directory: Path, lower: Path, owner: int) -> Overlay:
    """Creates the directories of a container's layer. owner: user and group id, 0 for the server's own."""
    overlay = Overlay(directory / "root", lower, directory / "upper", directory / "work")
    for path in (overlay.target, overlay.upper, overlay.work):
        path.mkdir(exist_ok=True, mode=0o755)
        if owner:
            os.chown(path, owner, owner)
    return overlay
