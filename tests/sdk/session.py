"""A session without a server: it records calls, and a test decides how steps end."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from danube._errors import DanubeError
from danube._junit import JunitReport
from danube._results import StepResult
from danube._session import CacheCall, Chunks, DownloadCall, Grant, NoteCall, StepCall

CONTEXT: Mapping[str, Any] = {
    "branch": "main",
    "tag": "",
    "ref": "refs/heads/main",
    "commit_sha": "0" * 40,
    "repository": "ssh://git.example/app.git",
    "pipeline": "app",
    "job_id": "01j",
    "job_url": "https://ci.example.org/jobs/01j",
    "trigger": "manual",
    "upstream_job_id": "01i",
    "params": {"level": "debug"},
    "pull_request": None,
}


class RecordingSession:
    """`danube._session.Session` in memory. ends: by a step's name, how it ends; any other step succeeds.
    unknown_stops: how often a stop is refused, since the server has not heard of the step yet."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._sequences: dict[str, Iterator[int]] = {}
        self._lock = threading.Lock()
        self.context: Mapping[str, Any] = dict(CONTEXT)
        self.ends: dict[str, Callable[[StepCall], StepResult]] = {}
        self.secrets: dict[str, bytes] = {}
        self.calls: list[StepCall] = []
        self.ended: list[str] = []
        self.unknown_stops = 0
        self.leg_workspaces = ""
        self.is_partial = False
        self.reports: dict[int, JunitReport] = {}
        self.notes: list[NoteCall] = []
        self._stopped: dict[int, threading.Event] = {}
        self.asked: list[tuple[int, str, int]] = []
        self.cached: dict[str, str] = {}
        self.restored: list[CacheCall] = []
        self.saved: list[CacheCall] = []
        self.uploads: dict[str, tuple[str, Chunks]] = {}
        self.described: dict[str, str] = {}
        self.downloads: list[tuple[DownloadCall, Path]] = []

    @property
    def workspace(self) -> str:
        return str(self._workspace)

    def next_sequence(self, kind: str) -> int:
        with self._lock:
            return next(self._sequences.setdefault(kind, itertools.count(1)))

    def run_step(self, call: StepCall) -> StepResult:
        with self._lock:
            self.calls.append(call)
        try:
            return self.ends.get(call.name, succeed)(call)
        finally:
            with self._lock:
                self.ended.append(call.name)

    def stop_step(self, sequence: int) -> None:
        with self._lock:
            if self.unknown_stops:
                self.unknown_stops -= 1
                raise DanubeError("step-unknown", f"there is no step {sequence} to stop")
        self.stop_of(sequence).set()

    def report_tests(self, sequence: int, report: JunitReport) -> None:
        self.reports[sequence] = report

    def add_note(self, call: NoteCall) -> None:
        self.notes.append(call)

    def stop_of(self, sequence: int) -> threading.Event:
        """Set once the step is stopped."""
        with self._lock:
            return self._stopped.setdefault(sequence, threading.Event())

    def until_stopped(self, call: StepCall) -> StepResult:
        """A step that runs until it is stopped, as a service does."""
        self.stop_of(call.sequence).wait()
        return StepResult(call.name, "cancelled", -1, 0.1, reason="stopped", sequence=call.sequence, raw_output=b"")

    def read_secret(self, sequence: int, key: str) -> bytes:
        if key not in self.secrets:
            raise DanubeError("secret-not-set", f"there is no secret {key}", hint=f"danube secrets set {key}")
        return self.secrets[key]

    def id_token(self, sequence: int, audience: str) -> str:
        return f"token {sequence} for {audience}"

    def ask_for_environment(self, sequence: int, environment: str, timeout_seconds: int) -> Grant:
        self.asked.append((sequence, environment, timeout_seconds))
        return Grant("bob", 1_800_000_000.0, "reviewed")

    def restore_cache(self, call: CacheCall) -> tuple[str, str, int]:
        """`cached` has how it ends, by the cache's name."""
        self.restored.append(call)
        return self.cached.get(call.name, "miss"), call.key, 0

    def save_cache(self, call: CacheCall) -> tuple[str, str, int]:
        self.saved.append(call)
        return "stored", call.key, 1

    def download(self, call: DownloadCall, directory: Path) -> Path:
        self.downloads.append((call, directory))
        return directory / call.name

    def upload(self, sequence: int, name: str, file_name: str, chunks: Chunks, describes: str = "") -> None:
        self.uploads[name] = (file_name, chunks)
        self.described[name] = describes

    def uploaded(self, name: str) -> bytes:
        """The artifact's bytes; each call streams them anew, as after a lost connection."""
        return b"".join(self.uploads[name][1]())


def succeed(call: StepCall) -> StepResult:
    """The result of a successful step."""
    return StepResult(call.name, "success", 0, 0.1, sequence=call.sequence, raw_output=b"done\n")


def fail(call: StepCall) -> StepResult:
    """The result of a step whose command had exit code 3."""
    return StepResult(call.name, "failure", 3, 0.1, reason="step-failed", sequence=call.sequence)
