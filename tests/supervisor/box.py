"""A container's worth of namespaces with `danube-step idle` as PID 1, driven over its exec socket as a runtime does."""

import array
import os
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

from build_steps.supervisor import build_supervisor
from danube_pkg.core.runtimes.supervisor import (
    Ended,
    Frame,
    FrameParser,
    Output,
    Refused,
    StepRecord,
    StepSpec,
    encode_ack,
    encode_request,
    verify_record,
)

KEY = bytes(range(32))
SECONDS = 30

TIMES = ("--heartbeat-ms", "50", "--grace-ms", "50")
"""Short, so that tests that wait for a heartbeat, or for KILL after TERM, are short too."""


def spec(command: str | None, step_id: str = "s1", **changes: object) -> StepSpec:
    return StepSpec(step_id, 1, KEY, command, **changes)  # type: ignore[arg-type]


class Box:
    """`root`: a directory that becomes the container's root (chroot), None for the machine's own."""

    def __init__(self, path: Path, *, root: Path | None = None) -> None:
        self.binary = build_supervisor("danube-step")
        self._socket_path = path / "exec.sock"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(str(self._socket_path))
        listening.listen(64)
        words = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--mount-proc"]
        if root is not None:
            words += ["--root", str(root)]
            words += ["/danube-step"]
        else:
            words += ["setpriv", "--no-new-privs", "--bounding-set=-sys_ptrace,-sys_admin", str(self.binary)]
        self.process = subprocess.Popen(
            [*words, "idle", "--exec-fd", str(listening.fileno()), *TIMES], pass_fds=(listening.fileno(),)
        )
        listening.close()

    def close(self) -> None:
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.process.wait(SECONDS)

    @property
    def init_pid(self) -> int:
        """The host's process id of the box's PID 1."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def nsenter(self, *argv: str) -> int:
        """Run a program in the box, started from outside of it."""
        joined = ["nsenter", "--target", str(self.init_pid), "--user", "--pid", "--mount", "--preserve-credentials"]
        return subprocess.run([*joined, *argv], timeout=SECONDS, check=False).returncode

    def exec(self, *argv: str) -> "Exec":
        return Exec(self._socket_path, argv)

    def run(self, step: StepSpec, offset: int = 0, *, kill: bool = False, ack: bool = True) -> "Follow":
        return Follow(self.exec("danube-step", "kill" if kill else "run"), encode_request(step, offset, kill=kill), ack)

    def call(self, verb: str, step: StepSpec) -> Frame:
        """Freeze or thaw a step. Returns the first frame."""
        follow = Follow(self.exec("danube-step", verb), encode_request(step, 0), ack=False)
        try:
            return follow.read()[0]
        finally:
            follow.program.close()

    def states(self) -> list[str]:
        """The states, as proc(5) has them, of all processes below the reapers of the steps that have not ended."""
        found, parents = [], [child for reaper in children_of(self.init_pid) for child in children_of(reaper)]
        while parents:
            pid = parents.pop()
            try:
                found.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents += children_of(pid)
        return [state for state in found if state != "Z"]

    def end(self, step: StepSpec) -> tuple[bytes, StepRecord]:
        """Run or follow to the end. Returns the whole output and the record."""
        follow = self.run(step)
        frames = follow.frames_to_end()
        output = b"".join(bytes(frame.data) for frame in frames if isinstance(frame, Output))
        last = frames[-1]
        assert isinstance(last, Ended), last
        return output, verify_record(last.payload, step.key, step.step_id, step.attempt)


def children_of(pid: int) -> list[int]:
    """The child processes of a process; none of one that has ended."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Exec:
    """One program in the box."""

    def __init__(self, path: Path, argv: tuple[str, ...]) -> None:
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(SECONDS)
        self.connection.connect(str(path))
        fds = array.array("i", [in_read, out_write, 2])
        self.connection.sendmsg(
            ["\0".join(argv).encode() + b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())]
        )
        os.close(in_read)
        os.close(out_write)
        self.stdin, self.stdout = in_write, out_read

    def exit(self) -> tuple[str, int]:
        """("X", exit code) or ("S", signal)."""
        kind, value = struct.unpack("<cI", self.connection.recv(5))
        return kind.decode(), value

    def close(self) -> None:
        for fd in (self.stdin, self.stdout):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = -1
        self.connection.close()


class Follow:
    """A call of `run` or `kill`, and the frames that it receives."""

    def __init__(self, program: Exec, request: bytes, ack: bool) -> None:
        self.program = program
        self._ack = ack
        self._parser = FrameParser()
        self._written = threading.Thread(target=self._write, args=(request,), daemon=True)
        self._written.start()

    def _write(self, request: bytes) -> None:
        try:
            while request:
                request = request[os.write(self.program.stdin, request) :]
        except BrokenPipeError:
            return  # the request was refused before all of it was read

    def read(self) -> list[Frame]:
        """The next frames; empty at the end of the stream."""
        while data := os.read(self.program.stdout, 1 << 20):
            frames = list(self._parser.feed(data))
            for frame in frames:
                if isinstance(frame, Output) and self._ack:
                    try:
                        os.write(self.program.stdin, encode_ack(frame.offset + len(frame.data)))
                    except BrokenPipeError:
                        self._ack = False
            if frames:
                return frames
        return []

    def frames_to_end(self) -> list[Frame]:
        """All frames. The stream ends some time after the last one, should nothing be acknowledged."""
        found: list[Frame] = []
        while not any(isinstance(frame, Ended) for frame in found) and (frames := self.read()):
            found += [Output(f.offset, memoryview(bytes(f.data))) if isinstance(f, Output) else f for f in frames]
        self.close()
        return found

    def read_until(self, text: bytes) -> bytes:
        """The output so far, once it holds `text`."""
        output = b""
        while text not in output:
            frames = self.read()
            assert frames, f"the stream ended before {text!r}: {output!r}"
            output += b"".join(bytes(f.data) for f in frames if isinstance(f, Output))
        return output

    def refusal(self) -> str:
        last = self.frames_to_end()[-1]
        assert isinstance(last, Refused), last
        return last.code

    def close(self) -> None:
        self._written.join(SECONDS)
        self.program.close()
