"""The ports through which the job engine and its parts reach the outside."""

from collections.abc import Callable, Mapping

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.ports import JobKeys
from danube_pkg.core.jobs.report_notes import ReportNotes
from danube_pkg.core.jobs.reports import ReportStore
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import Record, field
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.egress import Egress
from danube_pkg.services.images.job_logins import JobLogins
from danube_pkg.services.jobs.clock_watch import ClockWatch


def no_environment(job: Job, sequence: int) -> Mapping[str, str]:
    """No traces."""
    return {}


class EnginePorts(Record):
    """new_id: makes ids that sort by time. timing: for pauses between retries; its clock is `clock`. external_url: what
    links to this server begin with, "" where it is not configured."""

    jobs: JobStore
    pipelines: PipelineStore
    runtime: Runtime
    logs: JobLogs
    keys: JobKeys
    secrets: SecretValues
    sources: Sources
    egress: Egress
    reports: ReportStore
    notes: ReportNotes
    clock: Clock
    timing: Timing
    new_id: Callable[[], str]
    external_url: str = ""
    trace_environment: Callable[[Job, int], Mapping[str, str]] = no_environment
    """The environment variables that join a step's own spans to the job's trace; the step by its sequence."""
    clock_watch: ClockWatch | None = None
    """None where the clock cannot be set."""
    logins: JobLogins | None = None
    """The credentials of pods whose images are pulled by others; None where this server pulls them."""
    reconnects: Tally = field(default_factory=Tally)
    """Connections to steps that broke and are made again."""
