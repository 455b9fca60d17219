"""What a step must not reach, each tried from a step by the shortest program that would succeed without the sandbox."""

import ast
import asyncio
import errno
import os
import pwd
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from danube_pkg.core.errors import Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, ContainerRole, Limits, Network
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import TOKEN, Pods, has_subordinate_ids, new_pod_id, open_pods, spec_of

ALLOWED_IN_ROOT = {
    ".danube", "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "tmp", "usr", "workspace",
}  # fmt: skip
ALLOWED_DEVICES = {
    "console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
    "zero",
}  # fmt: skip
ALLOWED_CAPABILITIES = 0x800400FB
"""CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, FSETID: bits 0, 1, 3 to 7; SYS_CHROOT 18; SETFCAP 31."""

REFUSED = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def refused(result, *errors):
    number = ctypes.get_errno()
    assert result == -1 and number in errors, (result, errno.errorcode.get(number, number))
"""
"""The beginning of the programs below: calls a function that must fail with one of these errors."""


async def succeeds(pods: Pods, program: str) -> None:
    """Run a Python program of assertions as a step of a new pod."""
    _, worker = await pods.pod()
    assert await pods.python(worker, REFUSED + program) == (0, b"")


async def test_the_root_has_only_what_is_allowed(pods: Pods) -> None:
    for container in await pods.pod():
        _, printed = await pods.shell(container, "ls -A /; ls -A /home; ls -A $HOME")
        names = set(printed.decode().split())
        outside_usr = {Path("/", *path.parts[1:2]).name for path in [Path(os.path.realpath(os.__file__))]}
        assert names <= ALLOWED_IN_ROOT | outside_usr | {"danube"}
        code, _ = await pods.shell(container, "ls /var /run /srv /mnt /boot /etc/shadow /etc/ssh")
        assert code != 0


@pytest.mark.slow("reads all directories of /usr, inside and outside")
async def test_links_of_usr_lead_where_they_lead_outside(pods: Pods) -> None:
    _, worker = await pods.pod()
    find = "find /usr -xtype l 2>/dev/null || true"
    outside = await asyncio.to_thread(subprocess.run, ["sh", "-c", find], capture_output=True, check=True)
    _, inside = await pods.shell(worker, find)
    assert set(inside.splitlines()) <= set(outside.stdout.splitlines())
    assert await pods.shell(worker, "cat /etc/environment 2>/dev/null || true") == (0, b"")


async def test_every_user_may_listen_on_every_port_of_the_pod(pods: Pods) -> None:
    await succeeds(pods, "listening = socket.socket()\nlistening.bind(('127.0.0.1', 80))\nlistening.listen()")


async def test_root_of_a_pod_may_become_another_user_and_others_may_not(pods: Pods) -> None:
    coordinator = await pods.runtime.create_pod(replace(spec_of(new_pod_id()), run_as_root=True))
    root = await pods.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE)
    other = pwd.getpwuid(65534).pw_name
    become = f"su {other} -s /bin/sh -c 'id -u' && runuser -u {other} -- id -u"
    if os.geteuid() == 0:
        assert await pods.shell(root, become) == (0, b"65534\n65534\n")
    _, ordinary = await pods.pod()
    code, printed = await pods.shell(ordinary, become)
    assert (code != 0, b"65534" in printed) == (True, False)


async def test_the_servers_files_are_not_visible(pods: Pods) -> None:
    (pods.data / "danube.db").write_text("the database")
    coordinator, worker = await pods.pod()
    for container in (coordinator, worker):
        assert (await pods.shell(container, f"ls {pods.data}"))[0] != 0
        assert (await pods.shell(container, "find / -xdev -name danube.db 2>/dev/null"))[1] == b""


async def test_the_keys_of_the_server_are_reached_by_no_way(pods: Pods) -> None:
    """By path, by name, through another process, by a link and by a descriptor; as root of the pod and as its user."""
    content = "-----BEGIN PRIVATE KEY----- of this test"
    (pods.data / "keys").mkdir(mode=0o700)
    key = pods.data / "keys" / "signing.key"
    key.write_text(content)
    key.chmod(0o600)
    ways = [
        f"cat {key}",
        f"ln -s {key} /workspace/link && cat /workspace/link",
        f"ln {key} /workspace/name && cat /workspace/name",
        f"cat /proc/[0-9]*/root{key}",
        "cat /proc/[0-9]*/cwd/keys/signing.key /proc/[0-9]*/cwd/../keys/signing.key",
        "cat /proc/[0-9]*/fd/*/keys/signing.key /proc/[0-9]*/fd/*/../keys/signing.key",
        "cat ../../../keys/signing.key ../../../../keys/signing.key ../../../../../keys/signing.key",
        "find / -xdev -name signing.key -exec cat {} +",
        f"mount --bind {key.parent} /workspace && cat /workspace/signing.key",
        f"nsenter --target 1 --mount cat {key}",
    ]
    for container in await pods.pod():
        for way in ways:
            _, printed = await pods.shell(container, f"({way}) 2>&1 </dev/null")
            assert content not in printed.decode(errors="replace"), way


async def test_no_socket_of_the_host_is_visible(pods: Pods) -> None:
    """The coordinator sees the socket of its own pod and no other; a worker sees none."""
    path = pods.data / "run" / "grpc" / "api.sock"
    place = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{place}/api.sock")
        os.close(place)
        coordinator, worker = await pods.pod()
        search = "find / -path /proc -prune -o -type s -print 2>/dev/null; true"
        assert await pods.shell(worker, search) == (0, b"")
        assert await pods.shell(coordinator, search) == (0, b"/.danube/run/coordinator.sock\n")


async def test_another_pods_workspace_is_not_visible(pods: Pods) -> None:
    _, one = await pods.pod()
    _, other = await pods.pod()
    await pods.shell(one, "echo secret > /workspace/mine && chmod -R 777 /workspace")
    code, _ = await pods.shell(other, f"cat {pods.data}/pods/{one.pod_id}/workspace/mine")
    assert code != 0
    assert (await pods.shell(other, "ls -A /workspace"))[1] == b""


async def test_only_the_containers_own_processes_are_visible(pods: Pods) -> None:
    _, worker = await pods.pod()
    _, other = await pods.pod()
    stream = await pods.runtime.exec(other, ("/bin/sleep", "998877"))
    _, printed = await pods.shell(worker, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls -d /proc/[0-9]* | wc -l")
    await stream.close()
    assert b"998877" not in printed
    assert b"pytest" not in printed
    assert int(printed.split()[-1]) < 10


async def test_only_the_coordinator_has_the_token(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    assert await pods.shell(coordinator, "cat /.danube/token") == (0, TOKEN.encode())
    code, printed = await pods.shell(
        worker, f"ls -A /.danube; grep -rsl {TOKEN} /.danube /workspace /tmp $HOME /etc; cat /.danube/token; env"
    )
    assert (code, TOKEN.encode() in printed, printed.startswith(b"danube-step\n")) == (0, False, True)
    assert b"token" not in printed.replace(b"/.danube/token", b"").replace(b"No such file", b"")


async def test_the_supervisor_can_be_executed_but_not_read_or_changed(pods: Pods) -> None:
    _, worker = await pods.pod()
    for attempt in (
        "chmod 777",
        "rm -f",
        "truncate -s 0",
        "cp -f /bin/true",
        *(() if has_subordinate_ids() else ("cat",)),
    ):
        code, _ = await pods.shell(worker, f"{attempt} /.danube/danube-step > /tmp/read")
        assert code != 0, attempt
    assert await pods.shell(worker, "wc -c < /tmp/read") == (0, b"0\n")


async def test_the_programs_of_the_host_are_read_only(pods: Pods) -> None:
    _, worker = await pods.pod()
    for place in ("/usr/bin", "/usr", "/etc/ssl/certs", "/etc/ld.so.cache"):
        code, _ = await pods.shell(worker, f"touch {place}/danube-was-here 2>&1 || echo > {place}")
        assert code != 0, place


async def test_the_hosts_loopback_is_not_reached(pods: Pods) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        await succeeds(
            pods,
            f"assert socket.socket().connect_ex(('127.0.0.1', {port})) == errno.ECONNREFUSED\n"
            "assert socket.socket().connect_ex(('192.0.2.1', 80)) == errno.ENETUNREACH\n"
            "try: socket.getaddrinfo('example.com', 80)\n"
            "except socket.gaierror: pass\n"
            "else: raise AssertionError('a name was resolved')\n",
        )


async def test_an_abstract_socket_of_the_host_is_not_reached(pods: Pods) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0danube-test-{os.getpid()}")
        listening.listen()
        await succeeds(
            pods,
            f"unix = socket.socket(socket.AF_UNIX)\n"
            f"assert unix.connect_ex('\\0danube-test-{os.getpid()}') == errno.ECONNREFUSED\n",
        )


async def test_only_the_host_network_reaches_the_host(pods: Pods) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        greeter = threading.Thread(target=lambda: listening.accept()[0].sendall(b"from the host"), daemon=True)
        greeter.start()
        _, worker = await pods.pod(network=Network.HOST)
        ask = f"import socket; print(socket.create_connection(('127.0.0.1', {listening.getsockname()[1]})).recv(99))"
        assert await pods.python(worker, ask) == (0, b"b'from the host'\n")
        greeter.join()
        assert (await pods.shell(worker, "cmp /etc/hosts /dev/null"))[0] == 1


async def test_no_privileges_over_the_network(pods: Pods) -> None:
    await succeeds(
        pods,
        "for family, kind in ((17, 3), (38, 5), (40, 1), (15, 3)):\n"
        "    refused(libc.socket(family, kind, 0), errno.EPERM, errno.EAFNOSUPPORT)\n"
        "refused(libc.socket(2, 3, 1), errno.EPERM)\n",
    )


async def test_files_of_this_machine_that_may_have_credentials_are_visible_only_where_they_are_named(
    pods: Pods, tmp_path: Path
) -> None:
    _, worker = await pods.pod()
    assert await pods.shell(worker, "test ! -e /etc/pip.conf") == (0, b"")
    # A link of /usr leads there, so it may exist, but with nothing of the machine's in it.
    found = "find /etc/ssl/private -mindepth 1 2>/dev/null; cat /etc/ssl/private 2>/dev/null; true"
    code, shown = await pods.shell(worker, found)
    assert (code, shown.replace(b"/etc/ssl/private/.not-shown-to-jobs\n", b"")) == (0, b"")
    assert await pods.shell(worker, "test -d /etc/ssl/certs") == (0, b"")
    named = next(path for path in map(Path, ("/etc/pip.conf", "/etc/login.defs", "/etc/host.conf")) if path.exists())
    async with open_pods(tmp_path / "other", host_paths=[named]) as other:
        _, worker = await other.pod()
        assert await other.shell(worker, f"cat {named}") == (0, named.read_bytes())


async def test_only_harmless_devices(pods: Pods) -> None:
    _, worker = await pods.pod()
    _, printed = await pods.shell(worker, "ls -A /dev")
    assert set(printed.decode().split()) <= ALLOWED_DEVICES
    assert (await pods.shell(worker, "mknod /tmp/disk b 8 0 || mknod /workspace/memory c 1 1"))[0] != 0


async def test_no_file_system_in_memory_is_without_a_size(pods: Pods) -> None:
    """In the coordinator and in workers, as root and as an ordinary user."""
    for container in await pods.pod(limits=Limits(memory_bytes=512 << 20)):
        _, mounts = await pods.shell(container, "cat /proc/self/mounts")
        in_memory = [line.split() for line in mounts.decode().splitlines() if line.split()[2] in ("tmpfs", "ramfs")]
        writable = {place: options for _, place, _, options, *_ in in_memory if options.startswith("rw")}
        assert list(writable) == ["/dev/shm"]
        assert "size=131072k" in writable["/dev/shm"].split(",")
        code, printed = await pods.shell(container, "head -c 200m /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x")
        assert (code, printed.splitlines()[-1]) == (0, b"134217728")
        assert (await pods.shell(container, "rm /dev/shm/x; touch /dev/x"))[0] != 0


REFUSED_CALLS = {
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "fsopen": (430, 430),
    "swapon": (167, 224),
    "reboot": (169, 142),
}
"""Their numbers on x86_64 and aarch64."""


async def test_system_calls_that_no_step_needs_are_refused(pods: Pods) -> None:
    column = ("x86_64", "aarch64").index(os.uname().machine)
    numbers = {call: both[column] for call, both in REFUSED_CALLS.items()}
    _, worker = await pods.pod()
    program = f"""
done = {{}}
for call, number in {numbers}.items():
    ctypes.set_errno(0)
    done[call] = (libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())
print(done)
"""
    code, printed = await pods.python(worker, REFUSED + program)
    assert (code, ast.literal_eval(printed.decode())) == (0, dict.fromkeys(REFUSED_CALLS, (-1, errno.EPERM)))


async def test_no_namespaces_and_no_way_around_the_filter(pods: Pods) -> None:
    """A filter cannot read the flags of clone3, so that call fails with ENOSYS. Other namespaces need privileges."""
    await succeeds(
        pods,
        "for flags in (0x10000000, 0x00020000, 0x40000000, 0x10020000, 0x20000000):\n"
        "    refused(libc.unshare(flags), errno.EPERM)\n"
        "refused(libc.syscall(435, 0, 0), errno.ENOSYS)\n",
    )


async def test_system_calls_of_another_architecture_kill_the_program(pods: Pods) -> None:
    """x32 on x86_64: with bit 30 set, a call has a number that the filter's list does not have."""
    _, worker = await pods.pod()
    code, _ = await pods.python(worker, REFUSED + "libc.syscall(0x40000000 | 39)\n")
    assert code == (128 + 31 if os.uname().machine == "x86_64" else 0)


async def test_the_supervisor_cannot_be_traced_or_inspected(pods: Pods) -> None:
    await succeeds(
        pods,
        "PTRACE_SEIZE = 0x4206\n"
        "refused(libc.ptrace(PTRACE_SEIZE, 1, None, None), errno.EPERM)\n"
        "for name in ('environ', 'mem', 'maps'):\n"
        "    try: open(f'/proc/1/{name}', 'rb').read(1)\n"
        "    except OSError: pass\n"
        "    else: raise AssertionError(name)\n"
        "for name in ('fd/0', 'fd/3', 'root', 'cwd', 'exe'):\n"
        "    try: os.readlink(f'/proc/1/{name}')\n"
        "    except OSError: pass\n"
        "    else: raise AssertionError(name)\n"
        + (
            ""
            if has_subordinate_ids()
            else "try: os.listdir('/proc/1/fd')\nexcept OSError: pass\nelse: raise AssertionError"
        ),
    )


async def test_capabilities_are_few_and_cannot_grow(pods: Pods) -> None:
    for container in await pods.pod():
        _, printed = await pods.shell(container, "cat /proc/self/status")
        status = dict(line.split(":\t", 1) for line in printed.decode().splitlines() if ":\t" in line)
        for kind in ("CapEff", "CapPrm", "CapInh"):
            assert int(status[kind], 16) & ~ALLOWED_CAPABILITIES == 0, kind
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        groups = set(status["Groups"].split())
        assert groups <= {"1000", "65534"}


async def test_kernel_settings_cannot_be_changed(pods: Pods) -> None:
    _, worker = await pods.pod()
    for file in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/x"):
        assert (await pods.shell(worker, f"echo x > {file}"))[0] != 0, file


async def test_ordinary_programs_work(pods: Pods) -> None:
    """A sandbox in which nothing works would pass the tests above."""
    _, worker = await pods.pod()
    code, printed = await pods.shell(
        worker,
        "set -e; cd $(mktemp -d); echo 'print(40 + 2)' > a.py; python3 a.py; git --version; tar cf a.tar a.py; tar xf a.tar;"
        " mkfifo pipe; (echo through > pipe &); cat pipe; test -w /dev/null; test -w /dev/shm; ls -l /etc/ssl > list;"
        " python3 -c 'import ssl, multiprocessing; multiprocessing.Pool(2).map(abs, [1, -2])'; ldd /bin/sh > list;"
        " getent passwd $(id -u) | cut -d: -f6; getent hosts localhost | wc -l",
    )
    lines = printed.decode().splitlines()
    assert (code, lines[0], lines[2:]) == (0, "42", ["through", "/home/danube", "1"])


async def test_a_program_that_drops_its_privileges_can_read_its_files(pods: Pods) -> None:
    """As apt's downloads and databases under test do: their user is not the owner of the root."""
    _, worker = await pods.pod()
    assert await pods.shell(worker, "stat -c %a / /etc /home /.danube /dev") == (0, b"755\n" * 5)
    assert await pods.shell(worker, "stat -c %a /tmp") == (0, b"1777\n")


async def test_a_server_that_does_not_lend_its_programs_says_how_to_get_an_image(pods: Pods) -> None:
    coordinator, _ = await pods.pod()
    pods.runtime.settings = replace(pods.runtime.settings, host_image=False)
    await pods.runtime.end_container(
        Container(coordinator.pod_id, 1, ContainerRole.WORKER, HOST_IMAGE), Reason.STOPPED, ""
    )
    with pytest.raises(Permanent) as refused:
        await pods.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE)
    assert refused.value.reference == Reason.HOST_IMAGE_REFUSED
    assert "danube image load FILE" in refused.value.hint
