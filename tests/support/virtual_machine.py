"""A booted virtual machine with Debian's own kernel, systemd and unified control groups, and without any network.

qemu needs no root. Nothing is left of a machine: its disk is `build/debian/machine.disk`, and what it writes goes into
a file without a name. `build_steps/debian_machine.py` makes the disk, and the agent in it that carries out commands.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tarfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from build_steps.debian_root import TARGET
from tests.support.waiting import wait_until

MEMORY_MB = 2048
BOOT_SECONDS = 600.0
"""It takes 10 s on a quiet machine with KVM. Without it qemu translates the machine's programs, ten times as slow."""

BEGIN_SECONDS = 20.0

COMMAND_SECONDS = 600.0
POWER_OFF_SECONDS = 60.0


def what_is_missing() -> str:
    """Why this computer can boot no machine, "" where it can."""
    if shutil.which(_program()) is None:
        return f"{_program()} is missing: apt-get install qemu-system-x86"
    if not (TARGET / "machine.disk").exists():
        return "the machine's disk is missing: make build/debian/machine.disk"
    return ""


def _program() -> str:
    return f"qemu-system-{os.uname().machine}"


class VirtualMachine:
    """directory: for its files on this computer. given: files for /root of the machine, by their name."""

    def __init__(self, directory: Path, given: Mapping[str, Path]) -> None:
        self.console = directory / "console.log"
        self._socket = directory / "agent.sock"
        self._given = directory / "given.tar"
        with tarfile.open(self._given, "w") as tar:
            for name, path in given.items():
                tar.add(path, name)
        self.accelerator = ""
        self._qemu: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._unread = b""
        self._number = 0

    def boot(self) -> None:
        """Return when the system is up. Some kernels have a /dev/kvm with which a machine starts and does nothing."""
        accelerators = ["kvm", "tcg"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else ["tcg"]
        for self.accelerator in accelerators:
            self._start()
            if self._begins() or self.accelerator == accelerators[-1]:
                break
            self._end()
        wait_until(self._is_up, BOOT_SECONDS, f"the machine to boot: {self.console}")
        self._ask(["systemctl", "is-system-running", "--wait"], "", BOOT_SECONDS)

    def _start(self) -> None:
        self.console.write_bytes(b"")
        model = {"kvm": "host,arch-capabilities=off", "tcg": "max,la57=off"}[self.accelerator]
        words = [_program(), "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
                 "-accel", self.accelerator, "-cpu", model, "-smp", "1", "-m", str(MEMORY_MB),
                 "-kernel", f"{TARGET}/machine.kernel", "-initrd", f"{TARGET}/machine.initrd",
                 "-append", "root=/dev/vda rw console=ttyS0 earlyprintk=ttyS0 panic=-1 systemd.show_status=no "
                 "systemd.default_timeout_start_sec=600",
                 "-drive", f"file={TARGET}/machine.disk,format=raw,if=virtio,snapshot=on",
                 "-drive", f"file={self._given},format=raw,if=virtio,readonly=on",
                 "-serial", f"file:{self.console}", "-serial", f"unix:{self._socket},server=on,wait=off"]  # fmt: skip
        environment = {**os.environ, "TMPDIR": str(self._given.parent)}
        self._qemu = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment)

    def _begins(self) -> bool:
        """Whether the kernel has printed anything."""
        assert self._qemu is not None
        end = time.monotonic() + BEGIN_SECONDS
        while time.monotonic() < end and self._qemu.poll() is None:
            if b"Linux version" in self.console.read_bytes():
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._qemu.wait(0.2)
        return False

    def _is_up(self) -> bool:
        assert self._qemu is not None
        assert self._qemu.poll() is None, self.console.read_text(errors="replace")
        if self._line is None:
            self._connect()
            return False
        with contextlib.suppress(TimeoutError):  # what was sent before the agent listened has no answer
            return self._ask(["true"], "", 5.0)[0] == 0
        return False

    def _connect(self) -> None:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(self._socket))
        except OSError:
            line.close()
            return
        self._line = line

    def _ask(self, words: list[str], given: str, seconds: float) -> tuple[int, str, str]:
        """(exit code, what it printed, its errors). Answers to earlier requests, which were given up, are dropped."""
        assert self._line is not None
        self._number += 1
        request = {"number": self._number, "words": words, "given": given, "seconds": seconds}
        self._line.sendall(json.dumps(request).encode() + b"\n")
        end = time.monotonic() + seconds + 10.0
        while True:
            while b"\n" not in self._unread:
                self._line.settimeout(max(0.01, end - time.monotonic()))
                self._unread += self._line.recv(1 << 16)
            text, _, self._unread = self._unread.partition(b"\n")
            with contextlib.suppress(ValueError):  # the rest of a line that was sent before the agent listened
                answer = json.loads(text)
                if answer["number"] == self._number:
                    code, output, errors = answer["answer"]
                    return int(code), str(output), str(errors)

    def run(self, *words: str, check: bool = True, given: str = "", seconds: float = COMMAND_SECONDS) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """A command of root in the machine."""
        code, output, errors = self._ask(list(words), given, seconds)
        assert code == 0 or not check, f"{words}: {code}\n{output}{errors}"
        return subprocess.CompletedProcess(words, code, output, errors)

    def sh(self, script: str, *, check: bool = True, user: str = "root", seconds: float = COMMAND_SECONDS) -> str:
        """What a shell script prints, on both channels."""
        as_user = () if user == "root" else ("runuser", "--login", user, "--")
        words = (*as_user, "/bin/sh", "-c", f"exec 2>&1\n{textwrap.dedent(script)}")
        return self.run(*words, check=check, seconds=seconds).stdout

    def write(self, path: str, text: str) -> None:
        self.run("/bin/sh", "-c", 'mkdir -p "${1%/*}"; exec cat > "$1"', "sh", path, given=textwrap.dedent(text))

    def power_off(self) -> None:
        """End it, however far it came."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._ask(["systemctl", "poweroff"], "", 5.0)
            self._line.close()
            if self._qemu is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._qemu.wait(POWER_OFF_SECONDS)
        self._end()

    def _end(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()


@contextlib.contextmanager
def virtual_machine(directory: Path, given: Mapping[str, Path]) -> Iterator[VirtualMachine]:
    """A booted machine. directory: is made, and removed with what is in it."""
    directory.mkdir(parents=True)
    machine = VirtualMachine(directory, given)
    try:
        machine.boot()
        yield machine
    finally:
        machine.power_off()
        shutil.rmtree(directory)
