"""`danube doctor`: whether this machine can run pods, as data: what was checked, whether it suffices, what fixes it.

Each check reports one thing and never raises for a machine that lacks something. The last one creates a pod and runs a
program in it, because a machine whose every setting looks right can still refuse.
"""

import asyncio
import os
import platform
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap
from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.file_permissions import unreadable_for_pods
from danube_pkg.adapters.runtimes.sandbox.id_maps import map_of_user
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.machine_memory import machine_bytes, memory_of_all_pods
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.adapters.runtimes.sandbox.seccomp import seccomp_program
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.bootstrap.runtime import local_options, open_sandbox
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    INFRASTRUCTURE_OOM_SCORE,
    Limits,
    Network,
    PodSpec,
)
from danube_pkg.kit.oom_score import lower_oom_score
from danube_pkg.kit.processes import child_process
from danube_pkg.kit.records import Record, replace

KERNEL = (5, 10)
"""Debian 11 has it. Processes are watched by pidfd, which came with 5.3; kernels before 5.10 are not tested."""

OVERLAYS = "5.19"
"""Owners can be mapped for an overlay since this version; an ordinary user needs 5.11."""

FREE_BYTES = 1024**3
"""One job can use up less than this."""


class CheckResult(Record):
    """The result of one check."""

    name: str
    """What was checked."""
    ok: bool
    what: str
    """What was found, for users."""
    hint: str = ""
    """What fixes it, "" where nothing is to be done. A check that is ok may have one, if it could be better."""


async def diagnose(settings: SandboxSettings) -> list[CheckResult]:
    """Every check, in the order in which they should be fixed: a later one may fail because of an earlier one."""
    return [
        check_kernel(platform.system(), platform.release()),
        check_filter(platform.machine()),
        await check_bubblewrap(),
        check_installation(settings.program),
        await asyncio.to_thread(check_ids, settings.namespaces),
        check_limits(),
        check_oom_score(),
        await check_disks(settings.data_dir),
        check_data_directory(settings.data_dir),
        await check_pod(settings),
    ]


def check_kernel(system: str, release: str) -> CheckResult:
    """Whether the kernel is Linux and new enough."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    least = ".".join(map(str, KERNEL))
    if system != "Linux":
        return CheckResult("kernel", False, f"this is {system}; pods need Linux", f"use a Linux of {least} or newer")
    return CheckResult(
        "kernel", numbers >= KERNEL, f"Linux {release}", "" if numbers >= KERNEL else f"upgrade to {least}"
    )


def check_filter(machine: str) -> CheckResult:
    """Whether the system calls of this architecture can be filtered."""
    if seccomp_program(machine):
        return CheckResult("filter", True, f"system calls are filtered on {machine}")
    what = f"there is no system call filter for {machine}, so steps would run without one"
    return CheckResult("filter", False, what, "use a machine with x86_64 or aarch64")


async def check_bubblewrap() -> CheckResult:
    """Whether bubblewrap is installed and starts."""
    try:
        program = find_bubblewrap()
        async with child_process(
            str(program), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        ) as process:
            output, _ = await process.communicate()
    except PlatformError as error:
        return CheckResult("bubblewrap", False, str(error), error.hint)
    except OSError as error:
        return CheckResult("bubblewrap", False, f"bubblewrap does not start: {error}", "apt-get install bubblewrap")
    printed = output.decode(errors="replace").strip()
    if process.returncode != 0:
        return CheckResult("bubblewrap", False, f"{program} fails: {printed}", "apt-get install bubblewrap")
    return CheckResult("bubblewrap", True, f"{printed} at {program}")


def check_installation(program: CoordinatorProgram) -> CheckResult:
    """Whether the user that pods run as can read what they start from."""
    try:
        unreadable = unreadable_for_pods(program)
    except (PlatformError, OSError) as error:
        return CheckResult("installation", False, f"it is incomplete: {error}", "make setup")
    if not unreadable:
        return CheckResult("installation", True, "pods can read what they start from")
    more = f" and {len(unreadable) - 1} more" if unreadable[1:] else ""
    what = f"the user that pods run as cannot read {unreadable[0]}{more}"
    # Each path and not a common parent: that may be a checkout with a data directory, whose keys must stay unreadable.
    paths = [str(path) for path in unreadable if not set(path.parents) & set(unreadable)]
    return CheckResult("installation", False, what, f"chmod -R go+rX {' '.join(paths)}")


def check_ids(program: Path) -> CheckResult:
    """Which user ids pods get. One id is normal for an ordinary user, and no failure. program: danube-ns."""
    if has_ids_for_pods():
        return CheckResult("ids", True, "each pod has a range of user ids of its own")
    ids = map_of_user(program)
    if ids.is_full:
        return CheckResult("ids", True, f"pods have this user's subordinate ids, from {ids.first_user}")
    what = f"pods have one user id, so apt-get, chown and su do not work in images: {ids.problem}"
    return CheckResult("ids", True, what, ids.hint)


def check_limits() -> CheckResult:
    """Which limits pods get. Weaker ones are normal for an ordinary user, and no failure."""
    groups = find_cgroups()
    if groups.hierarchies:
        version = 2 if groups.unified else 1
        rest = f"all pods together have {memory_of_all_pods() >> 20} of {machine_bytes() >> 20} MB"
        names = {"memory": "memory", "pids": "processes", "cpu": "CPU"}
        limited = [name for controller, name in names.items() if groups.limits_with(controller)]
        lacking = [controller for controller in names if not groups.limits_with(controller)]
        what = f"control groups, version {version}, limit a pod's {', '.join(limited)}; {rest}"
        hint = f"give the server's unit these controllers: {' '.join(lacking)}" if lacking else ""
        if lacking and groups.unified:
            hint += f"; in a container, start it in a group below {groups.hierarchies[0]}, which may have no processes"
        return CheckResult("limits", True, what, hint)
    what = (
        f"a pod's memory is measured every second and not limited by the kernel: this user may not create control groups; "
        f"all pods of the server together have {memory_of_all_pods() >> 20} of {machine_bytes() >> 20} MB"
    )
    return CheckResult("limits", True, what, "run the server as root for limits of the whole pod")


def check_oom_score() -> CheckResult:
    """Whether the kernel ends builds before the server when memory is short. It tries to lower the doctor's own."""
    if lower_oom_score(INFRASTRUCTURE_OOM_SCORE):
        return CheckResult("memory", True, "when memory is short, the kernel ends builds before the server")
    what = "when memory is short, the kernel ends builds first, and then the server as any other process"
    return CheckResult("memory", True, what, f"in the server's systemd unit: OOMScoreAdjust={INFRASTRUCTURE_OOM_SCORE}")


async def check_disks(data_dir: Path) -> CheckResult:
    """What limits a pod's disk. A limit that is only measured is normal for an ordinary user, and no failure."""
    problem = await PodDisks(data_dir).problem() if data_dir.is_dir() else "the data directory does not exist"
    if not problem:
        what = "each pod has a file system of its own, so the kernel limits its bytes and files"
        return CheckResult("pod disks", True, what)
    what = f"a pod's disk is measured every second and not limited by the kernel: {problem}"
    hint = "run the server as root, with Linux 5.19 or newer, e2fsprogs, loop devices and space for workspace_size_gb"
    return CheckResult("pod disks", True, what, hint)


def check_data_directory(data_dir: Path) -> CheckResult:
    """Whether the server can write to the data directory, and the disk has space."""
    name = "data directory"
    if not data_dir.is_dir():
        return CheckResult(name, False, f"{data_dir} is not a directory", f"install -d -m 0700 {data_dir}")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        return CheckResult(name, False, f"{data_dir} cannot be written", f"chown {os.geteuid()} {data_dir}")
    free = shutil.disk_usage(data_dir).free
    if free < FREE_BYTES:
        return CheckResult(
            name,
            False,
            f"{data_dir} has {free >> 20} MB left",
            "free some space, or set server.data_dir to another disk",
        )
    return CheckResult(name, True, f"{data_dir} is writable and has {free >> 30} GB left")


async def check_pod(settings: SandboxSettings) -> CheckResult:
    """Whether a pod can be created and a program run in it, in a temporary directory of the data directory."""
    try:
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=settings.data_dir) as name:
            directory = Path(name)
            for needed in (directory / "run", directory / "grpc"):
                needed.mkdir()
            own = replace(settings, data_dir=directory, grpc_directory=directory / "grpc")
            async with open_sandbox(own, local_options(directory)) as parts:
                code, problem = await _run_program(parts.runtime)
    except PlatformError as error:
        hint = error.hint if error.hint != "danube doctor" else "fix what this names, or what another line names"
        return CheckResult("pod", False, str(error), hint)
    except OSError as error:
        return CheckResult("pod", False, f"no pod can be created: {error}", "fix what is named above, then try again")
    if code != 0:
        return CheckResult("pod", False, f"/bin/sh ended with {code} in a pod", "read the kernel's log: dmesg | tail")
    what = "a pod was created, a program ran in it, and it was removed"
    if problem:
        what += f"; each container gets a copy of its image, since overlays do not work here: {problem}"
        return CheckResult("pod", True, what, f"use Linux {OVERLAYS} or newer and a disk with ext4, xfs or btrfs")
    return CheckResult("pod", True, f"{what}; containers share images by overlays")


async def _run_program(runtime: SandboxRuntime) -> tuple[int, str]:
    """The exit code of a shell in a worker, and why overlays do not work, "" where they do."""
    pod_id = f"doctor-{secrets.token_hex(6)}"
    try:
        await runtime.create_pod(PodSpec(pod_id, "", "doctor", Limits(), Network.NONE, ""))
        stream = await runtime.exec(await runtime.ensure_container(pod_id, HOST_IMAGE), ("/bin/sh", "-c", ":"))
        try:
            return await stream.wait(), await runtime.overlay_problem(pod_id)
        finally:
            await stream.close()
    finally:
        await runtime.delete_pod(pod_id)
