"""`danube doctor`: whether this machine can run pods, as data: what was looked at, whether it will do, what mends it.

Each check says one thing and never raises for a machine that lacks something. The last one makes a pod and runs a program
in it, because a machine whose every setting looks right can still refuse.
"""

import asyncio
import contextlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox import (
    SandboxRuntime,
    SandboxSettings,
    closed_to_pods,
    find_bubblewrap,
    find_cgroups,
    has_ids_for_pods,
    map_of_user,
    seccomp_program,
)
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Limits,
    Network,
    PodSpec,
)
from danube_pkg.kit.records import Record, replace

KERNEL = (5, 10)
"""Of Debian 11: processes are followed by pidfd, which came with 5.3; older kernels than this are not tried."""

OVERLAYS = "5.19"
"""Since when owners can be mapped for an overlay; an ordinary user needs 5.11."""

FREE_BYTES = 1024**3
"""Less than this is gone within one job."""


class CheckResult(Record):
    """name: what was looked at. what: what was found, for people. hint: what mends it, or "" where nothing is to be done;
    a check that is ok may have one too: it works, and could work better."""

    name: str
    ok: bool
    what: str
    hint: str = ""


async def diagnose(settings: SandboxSettings) -> list[CheckResult]:
    """Every check, in the order in which they should be mended: a later one may fail because of an earlier one."""
    return [
        check_kernel(platform.system(), platform.release()),
        check_filter(platform.machine()),
        await check_bubblewrap(),
        check_installation(settings.program),
        await asyncio.to_thread(check_ids, settings.namespaces),
        check_limits(),
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
    what = f"the system calls of {machine} are not known, so steps would run without a filter"
    return CheckResult("filter", False, what, "use a machine with x86_64 or aarch64")


async def check_bubblewrap() -> CheckResult:
    """Which bubblewrap there is, and whether it starts."""
    try:
        program = find_bubblewrap()
        process = await asyncio.create_subprocess_exec(
            str(program), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
    except PlatformError as error:
        return CheckResult("bubblewrap", False, str(error), error.hint)
    except OSError as error:
        return CheckResult("bubblewrap", False, f"bubblewrap does not start: {error}", "apt-get install bubblewrap")
    said = output.decode(errors="replace").strip()
    if process.returncode != 0:
        return CheckResult("bubblewrap", False, f"{program} fails: {said}", "apt-get install bubblewrap")
    return CheckResult("bubblewrap", True, f"{said} at {program}")


def check_installation(program: CoordinatorProgram) -> CheckResult:
    """Whether the user that pods run as can read what they start from."""
    try:
        closed = closed_to_pods(program)
    except (PlatformError, OSError) as error:
        return CheckResult("installation", False, f"it is not whole: {error}", "make setup")
    if not closed:
        return CheckResult("installation", True, "pods can read what they start from")
    what = f"the user that pods run as cannot read {closed[0]}" + (f" and {len(closed) - 1} more" if closed[1:] else "")
    # Each path and not what they have in common: that may be a checkout with a data directory, whose keys stay closed.
    paths = [str(path) for path in closed if not set(path.parents) & set(closed)]
    return CheckResult("installation", False, what, f"chmod -R go+rX {' '.join(paths)}")


def check_ids(program: Path) -> CheckResult:
    """Which user ids pods get. One is a fact about an ordinary user, not a fault. program: danube-ns."""
    if has_ids_for_pods():
        return CheckResult("ids", True, "each pod has a range of user ids of its own")
    ids = map_of_user(program)
    if ids.is_full:
        return CheckResult("ids", True, f"pods have this user's subordinate ids, from {ids.first_user} on")
    what = f"pods have one user id, so apt-get, chown and su do not work in images: {ids.problem}"
    return CheckResult("ids", True, what, ids.hint)


def check_limits() -> CheckResult:
    """Which bounds pods get. Weaker ones are a fact about an ordinary user, not a fault."""
    groups = find_cgroups()
    if groups.hierarchies:
        version = 2 if groups.unified else 1
        return CheckResult(
            "limits", True, f"a pod's memory, processes and CPU are bounded by control groups, version {version}"
        )
    what = "memory is bounded for each process and not for the pod: there is no right to make control groups"
    return CheckResult("limits", True, what, "run the server as root for bounds of the whole pod")


def check_data_directory(data_dir: Path) -> CheckResult:
    """Whether the server can write there, nobody else reads there, and there is room."""
    name = "data directory"
    if not data_dir.is_dir():
        return CheckResult(name, False, f"{data_dir} is not a directory", f"install -d -m 0700 {data_dir}")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        return CheckResult(name, False, f"{data_dir} cannot be written", f"chown {os.geteuid()} {data_dir}")
    free = shutil.disk_usage(data_dir).free
    if free < FREE_BYTES:
        return CheckResult(
            name, False, f"{data_dir} has {free >> 20} MB left", "make room, or set server.data_dir elsewhere"
        )
    return CheckResult(name, True, f"{data_dir} is writable and has {free >> 30} GB left")


async def check_pod(settings: SandboxSettings) -> CheckResult:
    """Whether a pod can be made and a program run in it, in a directory of its own beside the real pods."""
    try:
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=settings.data_dir) as name:
            place = Path(name)
            for directory in (place / "run", place / "grpc"):
                directory.mkdir()
            async with _runtime(replace(settings, data_dir=place, grpc_directory=place / "grpc")) as runtime:
                code, problem = await _run_something(runtime)
    except PlatformError as error:
        return CheckResult("pod", False, str(error), error.hint)
    except OSError as error:
        return CheckResult("pod", False, f"no pod can be made: {error}", "mend what is named above, then try again")
    if code != 0:
        return CheckResult(
            "pod", False, f"/bin/true ended with {code} in a pod", "look at the kernel's log: dmesg | tail"
        )
    what = "a pod was made, a program ran in it, and it was removed"
    if problem:
        what += f"; each container gets a copy of its image, since there are no overlays for it: {problem}"
        return CheckResult("pod", True, what, f"use Linux {OVERLAYS} or newer and a disk with ext4, xfs or btrfs")
    return CheckResult("pod", True, f"{what}; containers share images by overlays")


@contextlib.asynccontextmanager
async def _runtime(settings: SandboxSettings) -> AsyncIterator[SandboxRuntime]:
    runtime = SandboxRuntime(settings)
    try:
        yield runtime
    finally:
        await runtime.close()


async def _run_something(runtime: SandboxRuntime) -> tuple[int, str]:
    """The exit code of /bin/true in a worker, and what stands against an overlay, "" where nothing does."""
    pod_id = f"doctor-{secrets.token_hex(6)}"
    try:
        await runtime.create_pod(PodSpec(pod_id, "", "doctor", Limits(), Network.NONE, ""))
        stream = await runtime.exec(await runtime.ensure_container(pod_id, HOST_IMAGE), ("/bin/true",))
        try:
            return await stream.wait(), await runtime.overlay_problem(pod_id)
        finally:
            await stream.close()
    finally:
        await runtime.delete_pod(pod_id)
