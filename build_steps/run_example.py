"""`make run`: a server with the example configuration and one job with its live log; then the server keeps running.

Ctrl-C or SIGTERM stops the server. With `--once` it stops by itself when the job has ended, the exit code is the
job's, and no process is left. The server's own log goes to `server.log` in the data directory, so that the terminal
shows the job's.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from build_steps.example_user import EMAIL, configure

ROOT = Path(__file__).resolve().parent.parent
DANUBE = Path(sys.executable).with_name("danube")
SETTINGS = ROOT / "examples" / "danube.toml"
PIPELINE = "hello"

START_SECONDS = 30
"""A first start makes keys and a database, which takes less than a second; the rest is for a busy machine."""

STOP_SECONDS = 20
"""Time for a regular stop, and for the pod of the ended job to be removed; afterwards the server is killed."""


class Ended(Exception):
    """The example ends early; `code` is the exit code."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


class Example:
    """One server, owned from its start to its end, and the commands that talk to it."""

    def __init__(self, data: Path, settings: Path = SETTINGS) -> None:
        self._data = data
        self._settings = settings
        self._log = data / "server.log"
        self._listen = _free_address()
        self.address = f"http://{self._listen}"
        self.password = ""
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until its socket answers."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        settings = self._data / "example" / "danube.toml"
        if not self._answers():  # the configuration of another server is kept; this one reports it when it starts
            settings, self.password = configure(self._settings.parent, self._data / "example")
        with self._log.open("wb") as log:
            # In a session of its own, so that a Ctrl-C reaches it once: as the SIGTERM that `stop` sends.
            self._server = subprocess.Popen(
                [DANUBE, "serve", "--config", settings, "--data", self._data, "--listen", self._listen],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait(self._answers, START_SECONDS, "the server did not answer")

    def serve(self) -> None:
        """Wait until the server ends by itself, which is an error. Raises Ended."""
        assert self._server is not None
        raise Ended(self._server.wait() or 1, self._why_it_ended())

    def stop(self) -> None:
        """Stop the server; kill it after STOP_SECONDS."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.terminate()
        try:
            self._server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def run_job(self) -> bool:
        """Set the secret of the example, trigger it and show its log; returns whether it ended green."""
        # The value is random, since nothing depends on it; logs show a mask for it.
        self.danube("secrets", "set", "GREETING_TOKEN", stdin=secrets.token_urlsafe(24))
        job_id = json.loads(self.danube("trigger", PIPELINE, "--json"))["id"]
        logs = subprocess.run([DANUBE, "logs", "-f", job_id, "--data", self._data], check=False)
        if logs.returncode not in (0, 1):
            raise Ended(logs.returncode, f"the log of job {job_id} could not be followed")
        jobs = json.loads(self.danube("jobs", "--json"))
        return any(job["id"] == job_id and job["status"] == "success" for job in jobs)

    def wait_until_clean(self) -> None:
        """Wait until the pod of the ended job is removed."""
        pods = self._data / "pods"
        self._wait(lambda: not pods.is_dir() or not any(pods.iterdir()), STOP_SECONDS, f"pods are left in {pods}")

    def danube(self, *words: str, stdin: str = "") -> str:
        """What a command prints. Raises Ended where it fails."""
        command: list[str | Path] = [DANUBE, *words, "--data", self._data]
        done = subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Ended(done.returncode, f"danube {' '.join(words)} ended with {done.returncode}")
        return str(done.stdout)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(os.path.relpath(self._data / "danube.sock"))
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: danube\r\nConnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200")
            except OSError:
                return False  # it does not listen yet

    def _wait(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        assert self._server is not None
        deadline = time.monotonic() + seconds
        while not condition():
            if self._server.poll() is not None:
                raise Ended(self._server.returncode or 1, self._why_it_ended())
            if time.monotonic() > deadline:
                raise Ended(3, f"{otherwise} within {seconds} seconds; see {self._log}")
            time.sleep(0.02)

    def _why_it_ended(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()[-10:]
        return "\n".join(["the server ended:", *lines])


def _free_address() -> str:
    """The address of the example, with another port if its own is taken."""
    address = str(tomllib.loads(SETTINGS.read_text())["server"]["bind_address"])
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def _interrupted(number: int, _frame: FrameType | None) -> None:
    raise Ended(128 + number, "stopping")


def main() -> int:
    """The exit code: with `--once` that of the job, otherwise by the signal that stopped it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data directory")
    parser.add_argument("--once", action="store_true", help="stop when the job has ended")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    example = Example(options.data.absolute())
    try:
        example.start()
        green = example.run_job()
        if options.once:
            example.wait_until_clean()
            return 0 if green else 1
        shown = DANUBE.relative_to(ROOT) if DANUBE.is_relative_to(ROOT) else DANUBE
        print(f"\nDanube serves at {example.address} (log: {options.data / 'server.log'}). Ctrl-C stops it.")
        print(f"  its page:     log in as {EMAIL} with the password {example.password}")
        print(f"  another job:  {shown} trigger {PIPELINE} --data {options.data} --wait", flush=True)
        example.serve()
    except Ended as end:
        print(f"danube: {end}", file=sys.stderr)
        return 0 if end.code == 128 + signal.SIGINT else end.code
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it is stopping already, within a bound
        example.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
