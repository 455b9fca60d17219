"""Starts a pod's processes: the holder of its namespaces, and PID 1 of its containers. Never by fork from the server.

Each of them ends by itself unless the server confirms it, which the server does after it has recorded the process. So a
server that is killed at any moment leaves no process without a record.
"""

import asyncio
import contextlib
import json
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import (
    ContainerPlan,
    Mount,
    bubblewrap_arguments,
    find_bubblewrap,
    home_of,
)
from danube_pkg.adapters.runtimes.sandbox.id_maps import IdMap
from danube_pkg.adapters.runtimes.sandbox.pod_files import ProcessMark
from danube_pkg.adapters.runtimes.sandbox.seccomp import seccomp_program
from danube_pkg.core.errors import HostLacks, Permanent, Unavailable
from danube_pkg.kit.processes import child_process

START_SECONDS = 20.0
"""It takes milliseconds on an idle machine; a machine that swaps needs seconds."""

_LOG = "start.log"
"""What the start of a container printed: empty unless it failed."""

WriteRecord = Callable[[ProcessMark], None]
"""Records that a process exists."""


class Confirmation:
    """A pipe whose reading end a new process gets: a byte means that it may stay, end of file that it must exit."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe2(os.O_CLOEXEC)

    def confirm(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which its watch reports
            os.write(self._write, b"1")

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._write)


@contextlib.contextmanager
def confirmation() -> Iterator[Confirmation]:
    """A confirmation whose pipe is closed at the end, so that a process that was not confirmed exits."""
    made = Confirmation()
    try:
        yield made
    finally:
        made.close()


async def start_holder(
    program: Sequence[str],
    write_record: WriteRecord,
    ids: IdMap,
    *,
    label: str,
    user_base: int,
    host_network: bool,
    cgroup_files: Sequence[Path],
    log: Path,
) -> None:
    """Start the process that holds the pod's user, network, IPC and UTS namespaces. Raises HostLacks.

    program: `SandboxSettings.lasting_command`.
    label: whose pod it is, for an operator who finds the process: its environment has it as DANUBE_POD.
    """
    network = "host" if host_network else "none"
    with log.open("ab") as errors, confirmation() as kept:
        async with child_process(
            *program, "hold", ids.users, ids.groups, str(user_base), network, str(kept.descriptor), *map(str, cgroup_files),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
            env={"DANUBE_POD": label}, cwd="/", pass_fds=(kept.descriptor,),
        ) as process:  # fmt: skip
            output, _ = await process.communicate()
        mark = ProcessMark.of(int(output)) if output.strip() else None
        if mark is None:
            raise namespace_error(log.read_text(errors="replace").strip())
        write_record(mark)
        kept.confirm()


def namespace_error(cause: str) -> HostLacks:
    """Why this machine refuses user namespaces, with the command that allows them. cause: what danube-ns printed."""
    checks = (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    )
    for path, bad, fix in checks:
        file = Path(path)
        if file.exists() and file.read_text().strip() == bad:
            return HostLacks(
                "user-namespaces-off",
                f"this machine does not allow user namespaces ({path} is {bad})",
                cause=cause,
                hint=fix,
            )
    return HostLacks(
        "user-namespaces-refused",
        "the pod's namespaces could not be created",
        cause=cause,
        hint='a container needs the options of docs/operating.md, "In a container"; elsewhere: unshare -Ur true',
    )


def bind_exec_socket(directory: Path) -> socket.socket:
    """The container's exec socket, listening. Its path may be longer than a socket address: see `open_exec`."""
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with contextlib.suppress(FileNotFoundError):
            (directory / "exec.sock").unlink()
        listening.bind(f"/proc/self/fd/{opened}/exec.sock")
        (directory / "exec.sock").chmod(0o600)
        listening.listen(256)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(opened)
    return listening


async def start_container(
    program: Sequence[str],
    holder: ProcessMark,
    plan: ContainerPlan,
    directory: Path,
    write_record: WriteRecord,
    *,
    host_network: bool,
    cgroup_files: Sequence[Path],
    rlimits: Sequence[str],
    heartbeat_seconds: float,
) -> None:
    """Start PID 1 of a new container, which gets the listening exec socket and is not a child of this process.

    program: `SandboxSettings.lasting_command`.
    directory: the container's own. rlimits: `name=value`. Raises Permanent `pod-failed`, Unavailable.
    """
    with confirmation() as kept:
        joined = [
            "enter", str(holder.pid), "host" if host_network else "none",
            *(word for file in cgroup_files for word in ("--cgroup", str(file))),
            *(word for limit in rlimits for word in ("--rlimit", limit)),
        ]  # fmt: skip
        idle = ["--confirm-fd", str(kept.descriptor), "--heartbeat-ms", str(round(heartbeat_seconds * 1000))]
        pid = await _start_init(program, joined, plan, directory, kept.descriptor, idle)
        mark = ProcessMark.of(pid) if pid else None
        if mark is None:
            cause = _start_log(directory)
            raise Permanent("pod-failed", "the container could not be started", cause=cause, hint="danube doctor")
        write_record(mark)
        kept.confirm()


async def _start_init(
    program: Sequence[str],
    joined: Sequence[str],
    plan: ContainerPlan,
    directory: Path,
    confirm_fd: int,
    idle: Sequence[str],
) -> int:
    """Its process id; 0 when it did not start. joined: arguments of danube-ns, what the process joins. idle: options of
    `danube-step idle` beside the exec socket and the user."""
    listening = bind_exec_socket(directory)
    info_read, info_write = os.pipe2(os.O_CLOEXEC)
    filters = [_memory_file(data) for data in (seccomp_program(),) if data]
    files = [_memory_file(text.encode()) for _, text in plan.image.files]
    sources, stages, bubblewrap = _staged(plan.all_mounts(), find_bubblewrap(), staged=plan.staged)
    arguments = bubblewrap_arguments(
        plan, sources, info_fd=info_write, seccomp_fd=filters[0] if filters else -1, data_fds=files
    )
    arguments += ["idle", "--exec-fd", str(listening.fileno()), *idle]
    arguments += ["--user", plan.user] if plan.user else []
    stages = [*(["--overlay", *plan.overlay.arguments()] if plan.overlay is not None else []), *stages]
    try:
        with (directory / _LOG).open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *program, *joined, *stages, "--", str(bubblewrap), *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors, env={}, cwd="/",
                # info_read: if this task is cancelled, bubblewrap must be able to write all the same. Without a reader
                # it would be killed for that, and its child would wait for it for ever.
                pass_fds=(listening.fileno(), info_read, info_write, confirm_fd, *filters, *files), umask=plan.umask,
            )  # fmt: skip
            await process.wait()
    except BaseException:
        os.close(info_read)
        raise
    finally:
        listening.close()
        for descriptor in (info_write, *filters, *files):
            os.close(descriptor)
    try:
        return await _child_pid(info_read)
    except TimeoutError as error:
        raise Unavailable(
            "container-slow", "the container did not start in time", cause=_start_log(directory)
        ) from error


def _staged(mounts: Sequence[Mount], bubblewrap: Path, *, staged: bool) -> tuple[list[str], list[str], Path]:
    """Where bubblewrap finds each source, the arguments of danube-ns that put it there, and where bubblewrap is.

    Only what the pod's user cannot reach is staged: bubblewrap reads the table of all mounts for each that it makes.
    """
    sources, stages, known = list[str](), list[str](), dict[str, bool]()
    count = 0
    for mount in mounts:
        if staged and (mount.writable or mount.owners is not None or not _is_reachable(mount.source, known)):
            sources.append(f"/mnt/{count}")
            stages += _stage(mount)
            count += 1
        else:
            sources.append(str(mount.source))
    if not staged:
        return sources, stages, bubblewrap
    home = home_of(bubblewrap)  # a checkout below /root has it where the pod's user cannot read
    return sources, [*stages, "--stage", str(home)], Path(f"/mnt/{count}") / bubblewrap.relative_to(home)


def _is_reachable(source: Path, known: dict[str, bool]) -> bool:
    """Whether every user of the machine may reach it. known: of directories, what was found."""
    return not source.is_symlink() and _is_open(os.path.dirname(source), known)


def _is_open(directory: str, known: dict[str, bool]) -> bool:
    """Whether every user may search a directory and those above it. What is below /mnt is hidden by what is staged."""
    if directory not in known:
        try:
            mode = os.lstat(directory).st_mode
        except OSError:  # danube-ns, which stages it, reports what is wrong
            mode = 0
        above = directory == "/" or (directory != "/mnt" and _is_open(os.path.dirname(directory), known))
        known[directory] = above and stat.S_ISDIR(mode) and bool(mode & stat.S_IXOTH)
    return known[directory]


def _stage(mount: Mount) -> Sequence[str]:
    if mount.owners is None:
        return ("--stage", str(mount.source))
    return ("--mapped", str(mount.source), *mount.owners)


async def _child_pid(descriptor: int) -> int:
    """The `child-pid` of the JSON that bubblewrap writes to `--info-fd`, in several writes; 0 when it wrote nothing."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            text = await reader.readuntil(b"}") if not reader.at_eof() else b""
    except asyncio.IncompleteReadError as error:
        text = error.partial
    finally:
        transport.close()
    return int(json.loads(text)["child-pid"]) if text.strip() else 0


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("danube", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _start_log(directory: Path) -> str:
    return (directory / _LOG).read_text(errors="replace").strip()[-500:] or f"no message ({sys.platform})"
