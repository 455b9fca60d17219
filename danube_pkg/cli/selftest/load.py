"""Keeps jobs open on a server that may be down at any moment, and remembers each answer."""

import threading
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from danube_pkg.cli.client import AnswerLate, AnswerLost, ApiClient, NoServer
from danube_pkg.cli.selftest.promises import SubmittedJob
from danube_pkg.cli.selftest.workload import JobKind
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.reasons import Status

POLL_SECONDS = 0.2
"""Between two polls of all open jobs; a cancel must meet a job that runs for a few seconds."""

PARAMETER = "number"
"""The parameter by which a stored job is recognised, also where the answer was lost."""


class Load(threading.Thread):
    """Submits jobs until `stop` or until `most` were submitted; `drain` then waits for their ends.

    open_jobs: how many have no end at any time. submissions: those that were accepted, or whose answer was lost.
    refused: the numbers of those that were refused, with the reference. poll_seconds: between two polls.
    """

    def __init__(
        self,
        client: ApiClient,
        kinds: Sequence[JobKind],
        open_jobs: int,
        most: int,
        seed: int,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__(name="selftest load", daemon=True)
        self._client = client
        self._kinds = kinds
        self._wanted = open_jobs
        self._most = most
        self._chance = Random(seed)
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._open: dict[str, SubmittedJob] = {}
        self._cancelled: set[str] = set()
        self.submissions: list[SubmittedJob] = []
        self.refused: dict[int, str] = {}
        self.ended: dict[str, Mapping[str, Any]] = {}
        self.submitted = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        """Submit, poll, cancel; the calls fail while no server runs."""
        try:
            while self._is_open():
                while len(self._open) < self._wanted and self.submitted < self._most and not self._stopping.is_set():
                    if not self._submit():
                        break
                self._poll()
                time.sleep(self._poll_seconds)
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            self.error = error

    def stop(self) -> None:
        """Submit nothing more."""
        self._stopping.set()

    @property
    def open_count(self) -> int:
        return len(self._open)

    def abandon(self) -> None:
        """Wait for no further end."""
        self._most = 0
        self._stopping.set()
        self._open = {}

    def _is_open(self) -> bool:
        return bool(self._open) or (self.submitted < self._most and not self._stopping.is_set())

    def _submit(self) -> bool:
        """Whether the server took it, or may have taken it."""
        number = self.submitted
        kind = self._kinds[number] if number < len(self._kinds) else self._chance.choice(self._kinds)
        body = {"ref": "", "params": {PARAMETER: str(number)}}
        try:
            job = self._client.post(f"/api/v1/pipelines/{kind.name}/jobs", body)
        except NoServer:
            return False  # nothing was sent; the same number is tried again
        except (AnswerLost, AnswerLate):
            self.submitted += 1
            self.submissions.append(SubmittedJob(number, kind))
            return False
        except PlatformError as error:
            self.submitted += 1
            self.refused[number] = error.reference
            return False
        self.submitted += 1
        submission = SubmittedJob(number, kind, str(job["id"]))
        self.submissions.append(submission)
        self._open[submission.job_id] = submission
        return True

    def _poll(self) -> None:
        for job_id, submission in list(self._open.items()):
            try:
                job = self._client.get(f"/api/v1/jobs/{job_id}")
                if Status(job["status"]).ended:
                    self.ended[job_id] = job
                    self._open.pop(job_id, None)
                elif submission.kind.cancelled and job_id not in self._cancelled and _runs_a_step(job):
                    self._client.post(f"/api/v1/jobs/{job_id}/cancel")
                    self._cancelled.add(job_id)
            except PlatformError:
                return  # the server is down or out of space; the next poll asks again


def _runs_a_step(job: Mapping[str, Any]) -> bool:
    return any(step["status"] == Status.RUNNING for step in job["steps"])
