"""The lines that the server itself writes into a job's log. Each has a key, so that a repeated one is written once."""

from danube_pkg.core.artifact_downloads import ArtifactUse
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.images.pushed import PushedImage
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.report_notes import ReportNote
from danube_pkg.core.jobs.reports import CaseStatus, JobReport, summary_of_tests
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Status
from danube_pkg.core.repositories.ports import SourceTree
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.kit.times import iso

MAX_LINE_LENGTH = 120
"""For text of a pipeline's author in a heading; the whole is in the record."""


def write_source(log: JobLog, job: Job, source: SourceTree) -> None:
    """How the code was read, and what the source has to report about it."""
    if source.rule:
        where = f"{without_login(job.settings.repository)} at {source.commit_sha}"
        log.note("source", 0, f"--- source {where}, read with: {source.rule}")
    if other := job.trigger.revision.other_ref:
        name = one_line(job.trigger.revision.ref)
        log.note("source:other-ref", 0, f"--- {name} is a branch and a tag: the branch is built; for the tag: {other}")
    for notice in source.notices:
        log.note(f"source:{notice}", 0, f"--- {' '.join(notice.split())}")


def write_notice(log: JobLog, message: str) -> None:
    """A report of the runtime, such as the progress of a pull."""
    log.note(f"notice:{message}", 0, f"--- {message}")


def write_weak_secrets(log: JobLog, count: int) -> None:
    """Why ordinary text in the log may be masked."""
    if count:
        which = "a secret of this pipeline is" if count == 1 else f"{count} secrets of this pipeline are"
        log.note("weak-secrets", 0, f"--- {which} short or an ordinary word, and masked wherever that occurs")


def write_wait(log: JobLog, what: str, text: str) -> None:
    """What the job waits for, and why. Raises StorageFull."""
    text = " ".join(text.split())
    log.note(f"wait:{what}:{text}", 0, f"--- waiting for {what}: {text}")


def write_step_start(log: JobLog, sequence: int, attempt: int, name: str, image: str) -> None:
    """The line before a step's output."""
    again = f", attempt {attempt}" if attempt > 1 else ""
    log.note(_start_key(sequence, attempt), sequence, f'--- step {sequence} "{one_line(name)}" ({image}){again}')


def has_every_start(log: JobLog, job: Job) -> bool:
    """Whether the log has the first line of each step that has started. It is written before the start is stored."""
    started = [step for step in job.steps if step.sequence != COORDINATOR_SEQUENCE and step.started_at is not None]
    return all(log.has_note(_start_key(step.sequence, 1)) for step in started)


def _start_key(sequence: int, attempt: int) -> str:
    return f"start:{sequence}:{attempt}"


def write_step_end(log: JobLog, step: Step, attempt: int, end: StepEnd) -> None:
    """The line after an attempt's output. It says where a failure is not the step's last word, or not the job's."""
    took = f" in {end.wall_us / 1e6:.1f} s" if end.wall_us else ""
    why = f": {end.message}" if end.message else f": exit code {end.exit_code}" if end.exit_code else ""
    facts = [f"attempt {attempt} of {step.retries + 1}"] if step.retries else []
    if end.status in (Status.FAILURE, Status.TIMEOUT) and attempt <= step.retries and step.retries_after(end):
        facts += [f"the next follows after {step.retry_delay_seconds} s"] if step.retry_delay_seconds else []
    if end.status is not Status.SUCCESS and not step.check:
        facts.append("not checked: the job continues")
    after = f" ({', '.join(facts)})" if facts else ""
    log.note(
        f"end:{step.sequence}:{attempt}",
        step.sequence,
        f'--- step {step.sequence} {"restored" if step.restored_from else end.status}{took} "{one_line(step.name)}"{why}{after}',
    )


def write_snapshot(log: JobLog, step: Step, done: str, text: str) -> None:
    """What became of a step's snapshot. done: `restored` or `kept`; each has one line."""
    log.note(f"snapshot:{step.sequence}:{done}", 0, f"--- snapshot of step {step.sequence}: {' '.join(text.split())}")


def write_grace(log: JobLog, job: Job) -> None:
    """A job that is ending may clean up."""
    seconds = job.settings.grace_seconds
    text = f"{one_line(job.message)}: its steps are stopped, then at most {seconds} s for clean-up and uploads"
    log.note("grace", 0, f"--- {text}; another cancel ends it at once")


def write_stopping(log: JobLog, step: Step) -> None:
    """A step is being stopped. Raises StorageFull."""
    log.note(f"stop:{step.sequence}", step.sequence, f"--- stopping {one_line(step.name)}")


def write_artifact(log: JobLog, artifact: Artifact) -> None:
    """An artifact was stored."""
    text = f"--- artifact {artifact.name}: {artifact.size_bytes} bytes, sha256 {artifact.sha256}"
    log.note(f"artifact:{artifact.name}", 0, text)


def write_download(log: JobLog, use: ArtifactUse) -> None:
    """An artifact of another job was fetched; each call has one line."""
    origin = f"job {use.source_job} of {use.pipeline}{f', {use.ref}' if use.ref else ''}"
    origin += "" if use.trusted else ", made by untrusted code"
    text = f"--- artifact {use.name} of {origin}: {use.size_bytes} bytes, sha256 {use.sha256}"
    log.note(f"download:{use.sequence}", 0, text)


def write_cache(log: JobLog, sequence: int, name: str, done: str, text: str) -> None:
    """What became of a cache. done: `restored` or `stored`; each call has one line."""
    log.note(f"cache:{sequence}:{done}", 0, f"--- cache {name}: {one_line(text)}")


def write_report(log: JobLog, report: JobReport) -> None:
    """What the danubefile has reported of its tests: a line for the report and one for each failed test of it."""
    key = f"report:{report.counts.sequence}"
    log.note(key, 0, f"--- tests: {summary_of_tests((report.counts,))}")
    for at, one in enumerate(report.cases):
        if one.status is not CaseStatus.PASSED:
            where = f" ({one.file}{f':{one.line}' if one.line else ''})" if one.file else ""
            log.note(f"{key}:{at}", 0, f"--- {one.status} test {one_line(one.name)}{where}: {one_line(one.message)}")


def write_note(log: JobLog, note: ReportNote) -> None:
    """What the danubefile has reported: a line for coverage and one for each annotation. A summary is for the page."""
    if note.coverage is not None:
        log.note(f"note:{note.sequence}", 0, f"--- {one_line(note.coverage.name)}: {note.coverage.words}")
    for at, one in enumerate(note.annotations):
        where = f" {one_line(one.place)}" if one.place else ""
        log.note(f"note:{note.sequence}:{at}", 0, f"--- {one.level}{where}: {one_line(one.message)}")
    if note.summary:
        log.note(f"note:{note.sequence}:summary", 0, f"--- summary: {one_line(note.summary.strip().splitlines()[0])}")


def write_pushed_image(log: JobLog, image: PushedImage) -> None:
    """An image was pushed to the server's own registry, which has confirmed it."""
    log.note(f"image:{image.name}:{image.digest}", 0, f"--- image {image.name}: {image.digest}")


def write_id_token(log: JobLog, audience: str) -> None:
    """The job got an identity token; one line for each audience."""
    log.note(f"id-token:{audience}", 0, f"--- identity token for {audience}")


def write_approval(log: JobLog, job: Job, approval: EnvironmentApproval) -> None:
    """That the job waits for approval of an environment, and what was decided."""
    key = f"approval:{approval.sequence}:{approval.decided_by}"
    if not approval.decided_by:
        environment = job.settings.environment_named(approval.environment)
        by = f" by {', '.join(environment.approvers[:5])}" if environment is not None and environment.approvers else ""
        until = f", until {iso(approval.expires_at)}" if environment is not None else ""
        log.note(key, 0, f"--- waits for approval of {approval.environment}{by}{until}")
        return
    how = "rejected" if approval.state is ApprovalState.REJECTED else "approved"
    why = f": {one_line(approval.reason)}" if approval.reason else ""
    log.note(key, 0, f"--- {approval.environment} was {how} by {approval.decided_by}{why}")


def write_pod_kept(log: JobLog, job: Job) -> None:
    """How a user gets into the pod of a failed job."""
    minutes = f"{job.settings.keep_failed_seconds / 60:g} min"
    log.note("pod-kept", 0, f"--- its pod is kept for {minutes}, without a network: danube shell {job.id}")


def write_pod_not_kept(log: JobLog, why: str) -> None:
    """Why a pod that the pipeline wants to be kept is removed."""
    log.note("pod-not-kept", 0, f"--- its pod is not kept: {one_line(why)}")


def write_job_end(log: JobLog, job: Job, now: float) -> None:
    """The log's last line."""
    took = f" in {now - job.started_at:.1f} s" if job.started_at is not None else ""
    reason = f" ({job.reason})" if job.reason else ""
    why = f": {one_line(job.message)}" if job.message else ""
    log.note("job-end", 0, f"--- job {job.outcome}{reason}{took}{why}")


def one_line(text: str) -> str:
    """Without line breaks and control characters, cut to MAX_LINE_LENGTH."""
    cleaned = "".join(c if c.isprintable() else " " for c in text)
    return cleaned if len(cleaned) <= MAX_LINE_LENGTH else cleaned[: MAX_LINE_LENGTH - 3] + "..."
