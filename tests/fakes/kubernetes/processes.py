"""Containers as processes of this machine: bubblewrap with a user, mount and process namespace for each.

They share the machine's network. One user id is mapped, so that the server's user may be an ordinary one. The processes
end with this process: a test that fails leaves none.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap
from tests.fakes.kubernetes.images import FakeImage

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_START = 'command -v "$1" >/dev/null || exit 128; echo ready >&0; exec "$@" </dev/null'
"""Runs as PID 1 before the command: its standard input is a pipe, by which the fake learns that the root is mounted."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ProcessMount:
    """A directory or file of this machine in a container."""

    source: Path
    target: str
    writable: bool = True


@dataclass(slots=True)
class ProcessPlan:
    """A container to start. directory: for its root and what it writes outside of volumes."""

    directory: Path
    image: FakeImage
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[ProcessMount] = ()
    user: int = 1000
    working_directory: str = ""
    hostname: str = "pod"
    termination_path: str = "/dev/termination-log"

    @property
    def termination_log(self) -> Path:
        """The file whose content becomes the message of the container's status."""
        return self.directory / "termination-log"

    @property
    def output(self) -> Path:
        """What PID 1 printed."""
        return self.directory / "output"

    def full_environment(self) -> dict[str, str]:
        base = {"PATH": _PATH, "HOSTNAME": self.hostname, "HOME": "/root" if self.user == 0 else "/"}
        return {**base, **self.image.environment, **self.environment}


@dataclass(slots=True)
class ContainerProcess:
    """A container that was started. pid: of its PID 1, as this machine counts."""

    plan: ProcessPlan
    bubblewrap: asyncio.subprocess.Process
    pid: int
    killed_for_memory: bool = field(default=False)

    async def wait(self) -> int:
        """The exit code of PID 1: 128 and the signal for one that was killed."""
        code = await self.bubblewrap.wait()
        return 128 - code if code < 0 else code

    @property
    def lives(self) -> bool:
        return self.bubblewrap.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal from outside of the container."""
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End all of its processes at once."""
        self.signal(signal.SIGKILL)


class StartFailed(Exception):
    """The argument is the sentence of the container runtime."""


async def start(plan: ProcessPlan) -> ContainerProcess:
    """Start PID 1. Raises StartFailed."""
    for name in ("root", "tmp"):
        (plan.directory / name).mkdir(parents=True, exist_ok=True)
    plan.termination_log.touch()
    info_read, info_write = os.pipe2(os.O_CLOEXEC)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    files = [_memory_file(text) for _, text in plan.image.root.files]
    try:
        with plan.output.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                str(find_bubblewrap()), *_arguments(plan, info_write, files),
                stdin=ready_write, stdout=output, stderr=output,
                env={}, cwd="/", pass_fds=(info_write, *files),
            )  # fmt: skip
    finally:
        for descriptor in (info_write, ready_write, *files):
            os.close(descriptor)
    try:
        text = await asyncio.to_thread(_read_all, info_read)
        is_ready = await asyncio.to_thread(_read_line, ready_read) == "ready\n"
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if not is_ready:
        await process.wait()
        raise StartFailed(_start_error(plan))
    return ContainerProcess(plan, process, int(json.loads(text)["child-pid"]))


def _start_error(plan: ProcessPlan) -> str:
    printed = plan.output.read_text(errors="replace").strip()[-300:]
    name = (plan.command or plan.image.entrypoint)[0]
    absent = f'exec: "{name}": executable file not found in $PATH'
    if "/" in name:
        absent = f'exec: "{name}": stat {name}: no such file or directory'
    printed = printed or absent
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
        f" unable to start container process: {printed}"
    )


def _arguments(plan: ProcessPlan, info_fd: int, files: Sequence[int]) -> list[str]:
    """bubblewrap's. There is no `--dev`: it would add a second user namespace, which an ordinary user cannot enter."""
    image = plan.image.root
    made = ["--die-with-parent", "--unshare-user", "--uid", str(plan.user), "--gid", str(plan.user)]
    made += ["--unshare-pid", "--as-pid-1", "--unshare-uts", "--hostname", plan.hostname, "--info-fd", str(info_fd)]
    made += ["--clearenv", "--bind", str(plan.directory / "root"), "/"]
    for source, target in (*image.binds, *plan.image.mounts):
        made += ["--ro-bind", str(source), target]
    for target, link in image.links:
        made += ["--symlink", target, link]
    for (path, _), descriptor in zip(image.files, files, strict=True):
        made += ["--perms", "0644", "--ro-bind-data", str(descriptor), path]
    made += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
    for name in _DEVICES:
        made += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1")):
        made += ["--symlink", target, f"/dev/{name}"]
    made += ["--symlink", "/proc/self/fd/2", "/dev/stderr", "--bind", str(plan.directory / "tmp"), "/tmp"]
    made += ["--bind", str(plan.termination_log), plan.termination_path]
    for mount in plan.mounts:
        made += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    for name, value in plan.full_environment().items():
        made += ["--setenv", name, value]
    made += ["--chdir", plan.working_directory or plan.image.working_directory]
    return [*made, "--", "/bin/sh", "-c", _START, "sh", *(plan.command or plan.image.entrypoint)]


def exec_arguments(container: ContainerProcess, argv: Sequence[str]) -> list[str]:
    """The command of this machine that runs a program in a container, as a child of none of its processes."""
    directory = container.plan.working_directory or container.plan.image.working_directory
    joined = ["--preserve-credentials", "--user", "--mount", "--pid", "--uts", f"--wdns={directory}"]
    return ["nsenter", "--target", str(container.pid), *joined, "--", *argv]


def missing_program(container: ContainerProcess, argv: Sequence[str]) -> str:
    """Why the container runtime cannot start a program, "" where it can."""
    name = argv[0]
    root = Path(f"/proc/{container.pid}/root")
    if "/" in name:
        if not os.access(root / name.lstrip("/"), os.F_OK):
            return f'exec: "{name}": stat {name}: no such file or directory'
        return ""
    search = container.plan.full_environment()["PATH"].split(":")
    if any(os.access(root / directory.lstrip("/") / name, os.X_OK) for directory in search):
        return ""
    return f'exec: "{name}": executable file not found in $PATH'


def _read_all(descriptor: int) -> str:
    with os.fdopen(descriptor, "r") as opened:
        return opened.read()


def _read_line(descriptor: int) -> str:
    """The first line; "" where there is none. bubblewrap itself keeps the other end open."""
    with os.fdopen(descriptor, "r") as opened:
        return opened.readline()


def _memory_file(text: str) -> int:
    descriptor = os.memfd_create("fake-image", 0)
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
