"""Starting a pod's processes: the holder of its namespaces and a container in them. Never by fork from the server."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import ContainerPlan, find_bubblewrap, words
from danube_pkg.adapters.runtimes.sandbox.pod_files import ProcessMark
from danube_pkg.adapters.runtimes.sandbox.seccomp import seccomp_program
from danube_pkg.core.errors import HostLacks, Permanent, Unavailable

START_SECONDS = 20.0
"""Milliseconds on a quiet machine; a machine that swaps still gets there."""

IDS_OF_A_POD = 65536
FIRST_POD_USER = 0x70000000
"""Above what systemd gives to its own containers, so that no two programs hand out the same ids."""


async def start_holder(program: Path, *, user_base: int, host_network: bool, log: Path) -> ProcessMark:
    """A process that holds the pod's user, network, IPC and UTS namespaces. Raises HostLacks, Unavailable."""
    inside = f"0 {user_base} {IDS_OF_A_POD}" if user_base else None
    uid_map = inside or f"0 {os.geteuid()} 1"
    gid_map = inside or f"0 {os.getegid()} 1"
    network = "host" if host_network else "none"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            str(program), "hold", uid_map, gid_map, str(user_base), network,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
            env={}, cwd="/",
        )  # fmt: skip
        output, _ = await process.communicate()
    mark = ProcessMark.of(int(output)) if output.strip() else None
    if mark is None:
        raise why_no_namespace(log.read_text(errors="replace").strip())
    return mark


def why_no_namespace(said: str) -> HostLacks:
    """What of the host stands against user namespaces, with the command that mends it."""
    checks = (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    )
    for path, bad, mend in checks:
        file = Path(path)
        if file.exists() and file.read_text().strip() == bad:
            return HostLacks(
                "user-namespaces-off",
                f"this machine does not let users make namespaces ({path} is {bad})",
                cause=said,
                hint=mend,
            )
    return HostLacks(
        "user-namespaces-refused", "the pod's namespaces could not be made", cause=said, hint="danube doctor"
    )


def bind_exec_socket(directory: Path) -> socket.socket:
    """The container's exec socket, listening; its path may be longer than a socket address can be."""
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with contextlib.suppress(FileNotFoundError):
            (directory / "exec.sock").unlink()
        listening.bind(f"/proc/self/fd/{place}/exec.sock")
        (directory / "exec.sock").chmod(0o600)
        listening.listen(256)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(place)
    return listening


async def start_container(
    program: Path,
    holder: ProcessMark,
    plan: ContainerPlan,
    directory: Path,
    *,
    host_network: bool,
    cgroup_files: Sequence[Path],
    rlimits: Sequence[str],
) -> ProcessMark:
    """PID 1 of a new container. It gets the listening exec socket, and belongs to nobody once this returns."""
    listening = bind_exec_socket(directory)
    info_read, info_write = os.pipe2(os.O_CLOEXEC)
    filters = [_memory_file(data) for data in (seccomp_program(),) if data]
    files = [_memory_file(text.encode()) for _, text in plan.image.files]
    mounts = plan.all_mounts()
    staged = os.geteuid() == 0
    places = [f"/mnt/{index}" if staged else str(mount.source) for index, mount in enumerate(mounts)]
    stages = [word for mount in mounts for word in ("--stage", str(mount.source))] if staged else []
    arguments = words(plan, places, info_fd=info_write, seccomp_fd=filters[0] if filters else -1, data_fds=files)
    arguments = [word.replace("{exec-fd}", str(listening.fileno())) for word in arguments]
    log = directory / "start.log"
    try:
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                str(program), "enter", str(holder.pid), "host" if host_network else "none",
                *(word for file in cgroup_files for word in ("--cgroup", str(file))),
                *(word for limit in rlimits for word in ("--rlimit", limit)),
                *stages, "--", str(find_bubblewrap()), *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors, env={}, cwd="/",
                pass_fds=(listening.fileno(), info_write, *filters, *files),
            )  # fmt: skip
            await process.wait()
    finally:
        listening.close()
        for descriptor in (info_write, *filters, *files):
            os.close(descriptor)
    try:
        pid = await _child_pid(info_read)
    except TimeoutError as error:
        raise Unavailable("container-slow", "the container did not start in time", cause=_said(log)) from error
    mark = ProcessMark.of(pid) if pid else None
    if mark is None:
        raise Permanent("pod-failed", "the container could not be started", cause=_said(log), hint="danube doctor")
    return mark


async def _child_pid(descriptor: int) -> int:
    """bubblewrap's `--info-fd` JSON comes in pieces; its end is the end of the pipe. 0 when it said nothing."""
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


def _said(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-500:] or f"no message ({sys.platform})"
