"""The server of a self-test: `danube serve` of this very program on a data directory of its own."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.selftest.workload import WITNESS, JobKind
from danube_pkg.cli.servers import local
from danube_pkg.core.configuration.kinds import API_VERSION
from danube_pkg.core.errors import PlatformError, Unavailable

START_SECONDS = 120.0
"""A first start takes seconds; the rest is for a busy machine."""

STOP_SECONDS = 60.0

POLL_SECONDS = 0.02

SERVER_LOG = "server.log"


class ScratchServer:
    """At most one server process at a time. directory: has the configuration, the repositories and the server's log.
    data: its data directory."""

    def __init__(self, directory: Path, data: Path) -> None:
        self.directory = directory
        self.data = data
        self.log = directory / SERVER_LOG
        self.client = ApiClient(argparse.Namespace(), server=local(data))
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, kinds: Sequence[JobKind], at_once: int, witness: str, repository_url: str) -> None:
        """Write danube.toml, config.yaml and a pipeline for each kind. witness: `HOST:PORT`."""
        port = witness.rpartition(":")[2]
        pipelines = self.directory / "config" / "pipelines"
        pipelines.mkdir(parents=True)
        settings = (
            '[config_repo]\nurl = "config"\nsync_interval = 5\n\n[server]\nbind_address = "127.0.0.1:0"\n\n'
            f'[runtime]\nkind = "sandbox"\n\n[egress.hosts]\n"{WITNESS}" = "127.0.0.1"\n'
        )
        (self.directory / "danube.toml").write_text(settings)
        _write(pipelines.parent / "config.yaml", "Config", "global", {"max_concurrent_jobs": at_once})
        for kind in kinds:
            application = self.directory / "applications" / kind.name
            if not kind.cloned:
                application.mkdir(parents=True)
                (application / "danubefile.py").write_text(kind.danubefile)
            spec = {
                "repository": repository_url if kind.cloned else str(application),
                "triggers": [{"on": "manual"}],
                "workspace_size_gb": 1,
                "egress_allowlist": [f"{WITNESS}:{port}", f"127.0.0.1:{port}"],
                **kind.spec,
            }
            _write(pipelines / f"{kind.name}.yaml", "Pipeline", kind.name, spec)

    def start(self) -> float:
        """Start it, and wait until it answers: how many seconds that took. Raises Unavailable."""
        words = [sys.executable, "-P", "-m", "danube_pkg.cli.main", "serve"]
        words += ["--config", str(self.directory / "danube.toml"), "--data", str(self.data)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DANUBE_")}
        began = time.monotonic()
        with self.log.open("ab") as log:
            # In a session of its own: an interrupt at the terminal goes to the self-test, which stops it.
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**environment, "DANUBE_LOG": "info,json"}, cwd=self.directory,
            )  # fmt: skip
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise Unavailable(
                    "selftest-no-server",
                    "the server of the self-test does not answer",
                    cause=self.last_lines(),
                    hint="check this machine with: danube doctor",
                )
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def answers(self) -> bool:
        """Whether it answers a request now."""
        try:
            self.client.get("/health")
        except PlatformError:
            return False
        return True

    @property
    def process_id(self) -> int:
        """0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def unexpected_end(self) -> str:
        """What it printed last, if it has ended though it was neither stopped nor killed."""
        if self._process is None or self._process.poll() is None:
            return ""
        code, self._process = self._process.returncode, None
        return f"the server ended by itself with {code}: {self.last_lines()}"

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it with SIGTERM; kill it after STOP_SECONDS. Does nothing where none runs."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_lines(self, count: int = 5) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-count:])


def _write(path: Path, kind: str, name: str, spec: Mapping[str, object]) -> None:
    document = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    path.write_text(json.dumps(document))
