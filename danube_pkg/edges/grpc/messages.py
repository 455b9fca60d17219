"""Messages of the protocol to and from typed values. `proto/coordinator.proto` describes each field."""

import json
import math
import re

from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.artifact_downloads import EXAMPLE as DOWNLOAD_EXAMPLE
from danube_pkg.core.artifact_downloads import DownloadRequest
from danube_pkg.core.caches.cache import MAX_FALLBACKS, MAX_KEY_LENGTH, MAX_PATH_BYTES, MAX_PATHS, CacheRequest
from danube_pkg.core.caches.outcome import CacheResult
from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.core.jobs.coordination import (
    MAX_ARGUMENT_BYTES,
    MAX_DIRECTORY_BYTES,
    MAX_FAILURE_BYTES,
    MAX_IMAGE_BYTES,
    MAX_ISOLATED_LEGS,
    MAX_LEG_BYTES,
    MAX_NAME_BYTES,
    MAX_SECRET_READS,
    MAX_SHELL_BYTES,
    MAX_STEP_BYTES,
    MAX_STEP_NAME_BYTES,
    JobContext,
    StepOutcome,
    StepRequest,
)
from danube_pkg.core.jobs.environment_approvals import EnvironmentApproval
from danube_pkg.core.jobs.events import EnvironmentRequested, ScriptFailure
from danube_pkg.core.jobs.report_notes import (
    MAX_ANNOTATION_BYTES,
    MAX_ANNOTATIONS,
    MAX_COVERED_FILES,
    MAX_SUMMARY_BYTES,
    Annotation,
    AnnotationLevel,
    Coverage,
    FileCoverage,
    ReportNote,
)
from danube_pkg.core.jobs.reports import (
    MAX_CASES,
    MAX_COUNT,
    MAX_TEST_MESSAGE_BYTES,
    MAX_TEST_NAME_BYTES,
    NAMED,
    CaseStatus,
    JobReport,
    ReportCounts,
    ReportedTest,
)
from danube_pkg.core.jobs.steps import MAX_RETRIES, MAX_RETRY_DELAY_SECONDS, MAX_RETRY_ON, RETRY_REASONS, StepStatus
from danube_pkg.core.reasons import Reason, reason_named

MAX_NAME_SHOWN = 60
MAX_VARIABLES = 1000
"""The bound of one step; a shell exports some dozens."""


def job_context(job: JobContext, protocol_version: int) -> pb.JobContext:
    """The answer to Start."""
    return pb.JobContext(
        protocol_version=protocol_version,
        job_id=job.job_id,
        pipeline=job.pipeline,
        repository=job.repository,
        script=job.script,
        trigger=job.trigger,
        ref=job.revision.ref,
        branch=job.revision.branch,
        tag=job.revision.tag,
        commit_sha=job.revision.commit_sha,
        params=job.params,
        pull_request_json=json.dumps(job.pull_request) if job.pull_request else "",
        deadline_at=job.deadline_at,
        default_image=job.default_image,
        job_url=job.job_url,
        upstream_job_id=job.upstream_job_id,
        only_step=job.only_step,
    )


def _check_bytes(what: str, text: str, limit_bytes: int, hint: str) -> None:
    """Raises TooLarge for a text that has more bytes in UTF-8. what: the field and what it is of."""
    size = len(text.encode())
    if size > limit_bytes:
        raise TooLarge(
            "call-too-large", f"{what} has {size} bytes, the most that are allowed are {limit_bytes}", hint=hint
        )


def _check_name(what: str, name: str) -> None:
    """For the name of a secret or an artifact, which its own rule would refuse at more cost."""
    _check_bytes(what, name, MAX_NAME_BYTES, "give it a shorter name")


def start_version(request: pb.StartRequest) -> int:
    """The protocol that the coordinator speaks."""
    return request.protocol_version


def secret_request(request: pb.ReadSecretRequest) -> tuple[int, str]:
    """Sequence and key. Raises TooLarge."""
    _check_name("the name of the secret", request.key)
    if request.sequence > MAX_SECRET_READS:
        raise TooLarge(
            "too-many-secret-reads",
            f"a job may read secrets {MAX_SECRET_READS} times",
            hint='read each once and keep its value: token = secrets.get("TOKEN")',
        )
    return request.sequence, request.key


def id_token_request(request: pb.IdTokenRequest) -> str:
    """The audience. Raises TooLarge."""
    _check_name("the audience", request.audience)
    return request.audience


def cache_request(request: pb.CacheRequest) -> CacheRequest:
    """Raises TooLarge, Invalid; `checked_request` has the other rules."""
    cache = f"of cache {request.sequence}"
    _check_name(f"the name {cache}", request.name)
    for text in (request.key, *request.fallback):
        _check_bytes(f"a key {cache}", text, 4 * MAX_KEY_LENGTH, "key=hash_files(PATTERN)")
    for path in request.paths:
        _check_bytes(f"a path {cache}", path, MAX_PATH_BYTES, "name a shorter path")
    _check_bytes(f"the image {cache}", request.image, MAX_IMAGE_BYTES, "for example: node:20")
    if request.sequence < 1 or len(request.paths) > MAX_PATHS or len(request.fallback) > MAX_FALLBACKS:
        raise Invalid(
            "cache-paths-invalid",
            f"a cache has 1 to {MAX_PATHS} paths, and at most {MAX_FALLBACKS} fallbacks",
            hint='paths=["~/.cache/pip"]',
        )
    return CacheRequest(
        request.sequence, request.name, request.key, tuple(request.paths), tuple(request.fallback), request.image
    )


def cache_reply(result: CacheResult) -> pb.CacheReply:
    """The answer to RestoreCache and SaveCache."""
    return pb.CacheReply(outcome=result.outcome, key=result.key, size_bytes=result.size_bytes)


def artifact_upload(first: pb.ArtifactChunk) -> tuple[int, str, str, str]:
    """Sequence, name, file name, and what an SBOM describes. Raises TooLarge."""
    _check_name("the name of the artifact", first.name)
    _check_name("the file name of the artifact", first.file_name)
    _check_bytes("the subject of the SBOM", first.describes, MAX_IMAGE_BYTES, "give the artifact a shorter name")
    return first.sequence, first.name, first.file_name, first.describes


def download_request(request: pb.DownloadRequest) -> DownloadRequest:
    """Raises TooLarge."""
    for what in ("name", "job", "pipeline", "branch"):
        _check_bytes(f"the {what} of the download", getattr(request, what), MAX_IMAGE_BYTES, DOWNLOAD_EXAMPLE)
    return DownloadRequest(
        request.sequence, request.name, request.job, request.pipeline, request.branch, request.allow_untrusted
    )


def tests_reported(request: pb.TestReport) -> JobReport:
    """Raises TooLarge, Invalid."""
    if len(request.cases) > MAX_CASES or max(request.passed, request.failed, request.skipped) > MAX_COUNT:
        what = f"report {request.sequence} names more than {MAX_CASES} tests, or counts more than {MAX_COUNT}"
        raise TooLarge("call-too-large", what, hint='report fewer files at once: reports.junit("unit/*.xml")')
    cases = tuple(_reported_test(one) for one in request.cases)
    failures = tuple(one.name for one in cases if one.status is CaseStatus.FAILED)[:NAMED]
    counts = ReportCounts(request.sequence, request.passed, request.failed, request.skipped, failures)
    return JobReport(counts, cases)


def report_note(request: pb.Note) -> ReportNote:
    """Raises TooLarge, Invalid."""
    hint = "report less: the whole fits into an artifact"
    _check_bytes(f"summary {request.sequence}", request.summary, MAX_SUMMARY_BYTES, hint)
    covered = request.coverage
    if len(covered.files) > MAX_COVERED_FILES or len(request.annotations) > MAX_ANNOTATIONS:
        what = f"note {request.sequence} names more than {MAX_COVERED_FILES} files or {MAX_ANNOTATIONS} annotations"
        raise TooLarge("call-too-large", what, hint=hint)
    for text in (covered.name, *(one.file for one in covered.files), *(one.file for one in request.annotations)):
        _check_bytes(f"a name of note {request.sequence}", text, MAX_NAME_BYTES, hint)
    for one in request.annotations:
        _check_bytes(f"an annotation of note {request.sequence}", one.message, MAX_ANNOTATION_BYTES, hint)
    counts = [(covered.covered, covered.total), *((one.covered, one.total) for one in covered.files)]
    levels = [one.level in [*AnnotationLevel] for one in request.annotations]
    if any(done > all_ for done, all_ in counts) or not all(levels) or request.sequence < 1:
        what = f"note {request.sequence} covers more lines than there are, or has an unknown level"
        raise Invalid("report-invalid", what, hint='reports.coverage("coverage.xml")')
    coverage = None
    if request.HasField("coverage"):
        files = tuple(FileCoverage(one.file, one.covered, one.total) for one in covered.files)
        coverage = Coverage(covered.name, covered.covered, covered.total, files)
    annotations = tuple(
        Annotation(AnnotationLevel(one.level), one.message, one.file, one.line) for one in request.annotations
    )
    return ReportNote(request.sequence, request.summary, coverage, annotations)


def _reported_test(case: pb.TestCase) -> ReportedTest:
    for what, text, limit in (
        ("the name", case.name, MAX_TEST_NAME_BYTES),
        ("the message", case.message, MAX_TEST_MESSAGE_BYTES),
        ("the file", case.file, MAX_DIRECTORY_BYTES),
    ):
        _check_bytes(f"{what} of a reported test", text, limit, "name the test, and keep the rest in an artifact")
    if case.status not in [*CaseStatus] or not math.isfinite(case.seconds):
        what = f"the reported test {case.name[:MAX_NAME_SHOWN]!r} has an unknown status or no duration"
        raise Invalid("report-invalid", what, hint='reports.junit("**/report.xml")')
    return ReportedTest(case.name, CaseStatus(case.status), case.seconds, case.message, case.file, case.line)


def step_request(request: pb.RunStepRequest) -> StepRequest:
    """Raises TooLarge, Invalid."""
    step = f"of step {request.sequence}"
    _check_bytes(f"the name {step}", request.name, MAX_STEP_NAME_BYTES, 'step.run(COMMAND, name="a short name")')
    _check_bytes(f"the image {step}", request.image, MAX_IMAGE_BYTES, "for example: node:20")
    _check_bytes(f"the working directory {step}", request.working_directory, MAX_DIRECTORY_BYTES, "name a shorter path")
    texts = (request.command, *request.environment, *request.environment.values())
    size, variables = sum(len(text.encode()) for text in texts), len(request.environment)
    if size > MAX_STEP_BYTES or variables > MAX_VARIABLES:
        raise TooLarge(
            "call-too-large",
            f"the command and the environment {step} have {size} bytes in {variables} variables, the most that are"
            f" allowed are {MAX_STEP_BYTES} and {MAX_VARIABLES}",
            hint="put the script, or large values, into a file of the repository or the workspace",
        )
    _check_arguments(request)
    _check_retries(request)
    _check_bytes(f"the snapshot's key {step}", request.snapshot, 4 * MAX_KEY_LENGTH, "snapshot=hash_files(PATTERN)")
    if len(request.shell.encode()) > MAX_SHELL_BYTES or "\0" in request.shell:
        raise Invalid(
            "step-invalid",
            f"the shell of step {request.sequence} is larger than {MAX_SHELL_BYTES} bytes or has a NUL byte",
            hint='name a program and its options: shell="bash -euo pipefail"',
        )
    if len(request.leg.encode()) > MAX_LEG_BYTES or request.isolation > MAX_ISOLATED_LEGS:
        raise Invalid(
            "step-invalid",
            f"the leg of step {request.sequence} has a name of more than {MAX_LEG_BYTES} bytes, or a number above"
            f" {MAX_ISOLATED_LEGS}",
            hint="give the matrix fewer combinations: exclude=[…]",
        )
    return StepRequest(
        sequence=request.sequence,
        name=request.name,
        command=request.command,
        image=request.image,
        environment=dict(request.environment),
        working_directory=request.working_directory,
        timeout_seconds=request.timeout_seconds,
        retries=request.retries,
        check=request.check,
        shell=request.shell,
        leg=request.leg,
        isolation=request.isolation,
        retry_delay_seconds=request.retry_delay_seconds,
        retry_on=tuple(request.retry_on),
        cleanup=request.cleanup,
        snapshot=request.snapshot,
    )


def _check_retries(request: pb.RunStepRequest) -> None:
    if request.sequence < 1 or request.retries > MAX_RETRIES:
        raise Invalid("step-invalid", f"a step's sequence counts from 1 and it has at most {MAX_RETRIES} retries")
    known = all(one in RETRY_REASONS or re.fullmatch("[1-9][0-9]{0,2}", one) for one in request.retry_on)
    if request.retry_delay_seconds > MAX_RETRY_DELAY_SECONDS or len(request.retry_on) > MAX_RETRY_ON or not known:
        raise Invalid(
            "step-invalid",
            f"the retries of step {request.sequence} have a pause of more than {MAX_RETRY_DELAY_SECONDS} s, or name more"
            f" than {MAX_RETRY_ON} or unknown failures",
            hint='step.retry(3, 10, on=[75, "step-timeout"])',
        )


def _check_arguments(request: pb.RunStepRequest) -> None:
    """Raises TooLarge for what the kernel would refuse when the step's program is executed."""
    sizes = {f"the command of step {request.sequence}": len(request.command.encode())}
    for name, value in request.environment.items():
        sizes[f"the variable {name[:MAX_NAME_SHOWN]!r} of step {request.sequence}"] = len(f"{name}={value}".encode())
    for what, size in sizes.items():
        if size > MAX_ARGUMENT_BYTES:
            raise TooLarge(
                "call-too-large",
                f"{what} has {size} bytes; Linux takes at most {MAX_ARGUMENT_BYTES} (128 KiB)",
                hint="put it into a file of the workspace, and let the command read that",
            )


def step_result(outcome: StepOutcome) -> pb.StepResult:
    """The answer to RunStep."""
    end = outcome.end
    return pb.StepResult(
        status=StepStatus.RESTORED if outcome.restored_from else end.status,
        reason=end.reason,
        message=end.message,
        exit_code=end.exit_code,
        signal=end.signal,
        duration_seconds=end.wall_us / 1e6,
        attempt=outcome.attempt,
        output=outcome.output,
        output_truncated=outcome.output_truncated,
        restored_from=outcome.restored_from,
    )


def environment_request(request: pb.EnvironmentRequest) -> EnvironmentRequested:
    """The environment that the danubefile asks for."""
    _check_name("the name of an environment", request.environment)
    return EnvironmentRequested(request.sequence, request.environment, request.timeout_seconds)


def environment_grant(approval: EnvironmentApproval, deadline_at: float) -> pb.EnvironmentGrant:
    """The answer to AskForEnvironment."""
    return pb.EnvironmentGrant(
        approved_by=approval.decided_by,
        approved_at=approval.decided_at or 0.0,
        reason=approval.reason,
        deadline_at=deadline_at,
    )


def stopped_step(request: pb.StopStepRequest) -> int:
    """The sequence of the step to stop."""
    return int(request.sequence)


def script_failure(request: pb.FinishRequest) -> ScriptFailure | None:
    """None where the pipeline function returned."""
    if request.success:
        return None
    reason = reason_named(request.reason, Reason.SCRIPT_ERROR)
    message = request.message[:MAX_FAILURE_BYTES] or "the danubefile's process reported a failure without a message"
    return ScriptFailure(reason if reason.is_of_scripts else Reason.SCRIPT_ERROR, message, request.step)
