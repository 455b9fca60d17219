"""A whole Danube for tests: real server processes, the real sandbox, the command line as a user has it.

app = danube.pipeline("app", DANUBEFILE)
danube.serve()
job = danube.trigger("app")
assert danube.end_of(job)["status"] == "success"
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.core.errors import Unavailable
from tests.support.command_line import IN_PROCESS, SECONDS, run_command
from tests.support.danube_process import DANUBE, ROOT, DanubeProcess, run_danube
from tests.support.waiting import wait_until

__all__ = ["DANUBE", "FILES_TEST", "ROOT", "Installation"]

FILES_TEST = '[egress]\nhosts = {"files.test" = "127.0.0.1"}\n'
"""Settings that give the loopback a name for allowlists."""


class Installation:
    """One data directory, one configuration directory, and at most one server process at a time.

    interpreter: start each server with a new interpreter, as users do; tests copy a process that has imported Danube.
    """

    def __init__(self, path: Path, *, interpreter: bool = False) -> None:
        self.path = path
        self._interpreter = interpreter
        self.data = path / "data"
        self.config = path / "config"
        self.repositories = path / "repositories"
        (self.config / "pipelines").mkdir(parents=True)
        self.repositories.mkdir()
        (self.config / "config.yaml").write_text(
            "apiVersion: danube.dev/v1\nkind: Config\nmetadata: {name: global}\nspec: {}\n"
        )
        (path / "danube.toml").write_text('[config_repo]\nurl = "config"\n\n[server]\nbind_address = "127.0.0.1:0"\n')
        self.server: DanubeProcess | subprocess.Popen[bytes] | None = None
        self.server_log = path / "server.log"
        self.environment: dict[str, str] = {**os.environ, "DANUBE_DATA": str(self.data), "PYTHONPATH": str(ROOT)}

    # --- repositories and configuration

    def repository(self, name: str, files: Mapping[str, str]) -> Path:
        """Write the files of an application and return their directory."""
        directory = self.repositories / name
        for file, text in files.items():
            target = directory / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))
        directory.mkdir(exist_ok=True)
        return directory

    def pipeline(self, name: str, danubefile: str | None, files: Mapping[str, str] | None = None, **spec: Any) -> Path:
        """Write a pipeline over a directory with that danubefile (None leaves the file out)."""
        content = dict(files or {})
        if danubefile is not None:
            content["danubefile.py"] = danubefile
        directory = self.repository(name, content)
        document = {
            "apiVersion": "danube.dev/v1",
            "kind": "Pipeline",
            "metadata": {"name": name},
            "spec": {"repository": str(directory), "triggers": [{"on": "manual"}], **spec},
        }
        (self.config / "pipelines" / f"{name}.yaml").write_text(json.dumps(document))
        return directory

    def add_settings(self, text: str) -> None:
        """Append to danube.toml, before a server starts."""
        with (self.path / "danube.toml").open("a") as settings:
            settings.write(f"\n{text}")

    def sync(self) -> str:
        """Make the running server apply what was written since it read the configuration, and return what it prints."""
        return self.command("config", "sync").stdout

    # --- the server

    def serve(self, umask: int = -1) -> None:
        """Start a server and wait until it answers. umask: of its process; -1 keeps that of the test."""
        words = ["serve", "--config", str(self.path / "danube.toml"), "--data", str(self.data)]
        with self.server_log.open("ab") as log, open(os.devnull, "rb") as nothing:
            if self._interpreter:
                command = [*DANUBE, *words]
                self.server = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.path)
            else:
                self.server = DanubeProcess(
                    words, self.environment, self.path, stdin=nothing, stdout=log, stderr=log, umask=umask
                )
        wait_until(self._answers, 30, "the server to answer")

    @property
    def process_id(self) -> int:
        """The process id of the running server."""
        assert self.server is not None
        return self.server.pid

    def _answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, f"the server ended:\n{self.server_log.read_text()}"
        try:
            self.client.get("/health")
        except Unavailable:
            return False
        return True

    def kill(self) -> None:
        """End the server with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server with SIGTERM."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        assert self.server is not None
        self.server.send_signal(number)
        self.server.wait(30)
        self.server = None

    def close(self) -> None:
        """End jobs and server. Pods are removed by cancelling their jobs, which takes a server: one starts if pods
        are left."""
        if self.server is None and any((self.data / "pods").glob("*")):
            self.serve()
        if self.server is None:
            return
        for job in self.jobs():
            if job["status"] in ("pending", "running"):
                self.command("cancel", job["id"], check=False)
        wait_until(lambda: not any((self.data / "pods").glob("*")), 60, "every pod to be removed")
        self.stop()

    def abandon(self) -> None:
        """Kill a server that is left, whatever went wrong."""
        if self.server is not None:
            self.server.kill()
            self.server.wait(30)

    # --- the command line

    def command(self, *words: str, stdin: bytes | str = b"", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `danube WORDS`: in this process where that shows the same. check: fail the test unless it returns 0."""
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        if words[0] in IN_PROCESS:
            done = run_command(words, given, self.environment, self.path)
        else:
            done = run_danube(words, self.environment, self.path, given.decode(), SECONDS)
        assert not check or done.returncode == 0, (
            f"danube {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def trigger(self, pipeline: str, *words: str) -> str:
        """Start a job and return its id."""
        job_id = json.loads(self.command("trigger", pipeline, "--json", *words).stdout)["id"]
        assert isinstance(job_id, str)
        return job_id

    @property
    def client(self) -> ApiClient:
        """The command line's client of the API."""
        return ApiClient(argparse.Namespace(data=str(self.data), server=None))

    def jobs(self) -> list[dict[str, Any]]:
        answer = json.loads(self.command("jobs", "--json", "--limit", "200").stdout)
        assert isinstance(answer, list)
        return answer

    def job(self, job_id: str) -> dict[str, Any]:
        found = self.client.get(f"/api/v1/jobs/{job_id}")
        assert isinstance(found, dict)
        return found

    def end_of(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the job has ended, and return it."""
        wait_until(lambda: self.job(job_id)["status"] not in ("pending", "running"), seconds, f"job {job_id} to end")
        return self.job(job_id)

    def log(self, job_id: str) -> str:
        return (self.data / "logs" / f"{job_id}.log").read_bytes().decode(errors="replace")

    def printed(self, job_id: str) -> str:
        """The log without the lines that Danube itself writes."""
        return "".join(line for line in self.log(job_id).splitlines(True) if not line.startswith("--- "))

    def wait_for_log(self, job_id: str, text: str, seconds: float = 30) -> None:
        wait_until(
            lambda: (self.data / "logs" / f"{job_id}.log").exists() and text in self.log(job_id),
            seconds,
            f"{text!r} in the log of {job_id}",
        )

    def pod_directories(self, job_id: str) -> list[Path]:
        """The directories of a job's pods on this machine."""
        found = []
        for file in (self.data / "pods").glob("*/pod.json"):
            try:
                record = json.loads(file.read_text())
            except FileNotFoundError:  # the pod is being removed
                continue
            if record["job_id"] == job_id:
                found.append(file.parent)
        return found

    def workspace(self, job_id: str) -> Path:
        """The workspace of a job's one pod."""
        (directory,) = self.pod_directories(job_id)
        return directory / "workspace"

    def files_with(self, value: bytes) -> list[Path]:
        """Every readable file below the data directory that holds this value; programs are not readable."""
        found = []
        for directory, _, names in os.walk(self.data):
            for path in (Path(directory) / name for name in names):
                with contextlib.suppress(FileNotFoundError):  # of a pod that is just being removed
                    if path.is_file() and path.stat().st_mode & 0o444 and value in path.read_bytes():
                        found.append(path)
        return found
