"""What must hold after a self-test, as functions of what was seen. Pure: each returns the problems that it finds."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from danube_pkg.cli.selftest.workload import JobKind, artifact_content
from danube_pkg.core.reasons import Reason, Status, reason_named
from danube_pkg.kit.records import Record

MAX_PROBLEMS = 20
"""Shown of one promise; a server that breaks one breaks it often."""

_MARK = re.compile(r"^mark ([0-9a-f-]{36})$", re.MULTILINE)
_LINE = re.compile(r"^line-(\d+)=(.*)$", re.MULTILINE)


class PromiseResult(Record):
    """A promise, whether it was kept, and what was seen where it was not."""

    name: str
    problems: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return not self.problems


class SubmittedJob(Record):
    """A request to start a job. job_id: "" where no answer came, so that it may have been carried out or not."""

    number: int
    kind: JobKind
    job_id: str = ""


class EndedJob(Record):
    """What the API says of an accepted job, with its log and its artifact. log: as a user reads it."""

    submission: SubmittedJob
    status: str
    reason: str
    message: str
    log: str
    artifact: bytes | None = None
    pod_was_killed: bool = False
    """Whether the self-test killed a process of its pod."""

    def __str__(self) -> str:
        return f"job {self.submission.job_id} ({self.submission.kind.name})"


def result(name: str, problems: Iterable[str]) -> PromiseResult:
    """The first problems, and how many more there are."""
    found = tuple(filter(None, problems))
    more = len(found) - MAX_PROBLEMS
    return PromiseResult(name, (*found[:MAX_PROBLEMS], f"and {more} more") if more > 0 else found)


def lost_jobs(
    submissions: Collection[SubmittedJob], refused: Collection[int], listed: Mapping[str, int]
) -> Sequence[str]:
    """listed: the number that each stored job was submitted with, by its id. refused: numbers that the server refused.

    A submission whose answer was lost has one job or none; one that was refused has none.
    """
    accepted = {one.job_id: one.number for one in submissions if one.job_id}
    unanswered = {one.number for one in submissions if not one.job_id}
    numbers = list(listed.values())
    found = [f"accepted job {job_id} is not stored" for job_id in accepted if job_id not in listed]
    for job_id, number in listed.items():
        if job_id in accepted:
            continue
        if number in refused:
            found.append(f"job {job_id} is stored, and its submission {number} was refused")
        elif number not in unanswered:
            found.append(f"job {job_id} of submission {number} is a second one")
        elif numbers.count(number) > 1:
            found.append(f"submission {number} has more than one job")
    return found


def end_problem(job: EndedJob) -> str:
    """Why the job's end is not the true one; "" where it is."""
    kind = job.submission.kind
    if job.status == kind.status and (kind.reason in (Reason.NONE, job.reason)):
        return ""
    if not Status(job.status).ended:
        return f"{job} has not ended: {job.status}, {job.reason}: {job.message}"
    if job.pod_was_killed and job.status == Status.FAILURE:
        if reason_named(job.reason, Reason.NONE).is_of_infrastructure and job.message:
            return ""
        return f"{job} lost its pod and ended with the reason {job.reason}: {job.message}"
    return f"{job} ended as {job.status}, {job.reason}: {job.message}; expected {kind.status} {kind.reason}".rstrip()


def double_executions(job: EndedJob, reported: Mapping[str, Collection[str]]) -> Sequence[str]:
    """reported: for each place of the danubefile the different scripts that reported from there."""
    kind, marks = job.submission.kind, _MARK.findall(job.log)
    found = [
        f"{job}: its script ran {len(scripts)} times at {what!r}"
        for what, scripts in reported.items()
        if len(scripts) > 1
    ]
    if len(marks) > kind.marks:
        found.append(f"{job}: {len(marks)} executions of {kind.marks} steps")
    if job.status == Status.SUCCESS and len(marks) < kind.marks:
        found.append(f"{job} is green with {len(marks)} executions of {kind.marks} steps")
    if job.status == Status.SUCCESS and kind.reports and set(reported) != {"begin", "end"}:
        found.append(f"{job} is green and reported {sorted(reported)}")
    return found


def log_problem(job: EndedJob) -> str:
    """Why the log is not whole: a gap, a line twice, another order, a clear value; "" where it is."""
    lines = _LINE.findall(job.log)
    numbers = [int(number) for number, _ in lines]
    if numbers != list(range(len(numbers))):
        return f"{job}: the numbered lines of its log are not 0, 1, 2 …: {_shown(numbers)}"
    if job.status == Status.SUCCESS and len(numbers) != job.submission.kind.lines:
        return f"{job} is green and its log has {len(numbers)} of {job.submission.kind.lines} lines"
    if any(text not in ("", "***") for _, text in lines):
        return f"{job}: a line of its log has a secret that is not masked"
    return ""


def artifact_problem(job: EndedJob) -> str:
    """Why the artifact of a green job is not what its step wrote."""
    if not job.submission.kind.artifact or job.status != Status.SUCCESS:
        return ""
    if job.artifact is None:
        return f"{job} is green and its artifact cannot be read"
    return "" if job.artifact == artifact_content() else f"{job}: its artifact has {len(job.artifact)} other bytes"


def _shown(numbers: Sequence[int]) -> str:
    """The place where they leave the order."""
    at = next(at for at, number in enumerate(numbers) if number != at)
    return f"… {', '.join(map(str, numbers[max(0, at - 2) : at + 3]))} …"
