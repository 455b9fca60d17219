"""The messages between coordinator and server as typed values; the gRPC edge translates them."""

from collections.abc import Mapping
from typing import Annotated, Any

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import HIDDEN, Record

MAX_OUTPUT_BYTES = 1024**2
"""A step's result carries the last MiB of its output: enough for any value that a pipeline computes with."""

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""A command is one argument of its shell, a variable with its name one string of the environment: the kernel takes 128
KiB for each, with the zero byte at the end (MAX_ARG_STRLEN, execve(2))."""

MAX_STEP_BYTES = 1024**2
"""The bound of command and environment together: with the container's own, well below the kernel's 2 MiB."""

MAX_STEP_NAME_BYTES = 500
"""Names are stored: those of 2000 steps are a megabyte of the database and of the job's page."""

MAX_IMAGE_BYTES = 500
"""The longest name that the grammar of images allows: host and path, tag and digest."""

MAX_DIRECTORY_BYTES = 4096
"""PATH_MAX of Linux."""

MAX_FAILURE_BYTES = 64 * 1024
"""The message of a failed danubefile; its beginning is stored, and the whole traceback is in the log."""

MAX_NAME_BYTES = 300
"""Names of secrets and artifacts, whose own rules allow less."""

MAX_SECRET_READS = 2000
"""Reads of secrets by one job, as many as it may have steps. Each is a row and an entry of the audit log, so the number
of a call, by which a repeated one is recognised, is not higher than this."""

MAX_ID_TOKENS = 100
"""Identity tokens that a job may get. Each is masked in its log until the job ends, which costs memory and time."""

MAX_SHELL_BYTES = 200
"""A program and its options."""

MAX_LEG_BYTES = 200
"""The name of a matrix' leg: the values of its axes. Each of its steps has it too."""

MAX_ISOLATED_LEGS = 64
"""The most that a job may have: each has processes and a copy of the workspace until the job ends."""


class JobContext(Record):
    """What `danube.ctx` shows, and what the coordinator needs to start. `deadline_at` in Unix seconds."""

    job_id: str
    pipeline: str
    repository: str
    script: str
    trigger: str
    revision: Revision
    params: Mapping[str, str]
    pull_request: Mapping[str, Any] | None
    deadline_at: float
    default_image: str
    job_url: str
    upstream_job_id: str = ""
    only_step: str = ""


class StepRequest(Record):
    """One call of `step.run`. Command and environment may hold secrets: they are never shown and never stored.

    shell: words of the program that gets `-c` and the command; "" for `/bin/sh -e`. leg: the name of the matrix' leg
    that it belongs to, "" for none. isolation: the number of that leg's own containers, 0 for those of the job.
    retry_delay_seconds: the pause before each further attempt. retry_on: exit codes and reasons after which there is
    one; empty for any failure. cleanup: it may also run while the job is ending.
    snapshot: what its author says that it depends on; "" for no snapshot.
    """

    sequence: int
    name: str
    command: Annotated[str, HIDDEN]
    image: str
    environment: Annotated[Mapping[str, str], HIDDEN]
    working_directory: str
    timeout_seconds: int
    retries: int
    check: bool
    shell: str = ""
    leg: str = ""
    isolation: int = 0
    retry_delay_seconds: int = 0
    retry_on: tuple[str, ...] = ()
    cleanup: bool = False
    snapshot: str = ""

    @property
    def size_bytes(self) -> int:
        """Its texts in UTF-8."""
        texts = (self.name, self.command, self.image, self.working_directory, self.leg)
        return sum(len(text.encode()) for text in (*texts, *self.environment, *self.environment.values()))


class StepOutcome(Record):
    """The last attempt's end. `output`: the last MAX_OUTPUT_BYTES of its raw output, None where they are lost.
    restored_from: the job that ran it, of which it is the snapshot; "" where it ran in this one."""

    end: StepEnd
    attempt: int
    output: Annotated[bytes | None, HIDDEN]
    output_truncated: bool
    restored_from: str = ""
