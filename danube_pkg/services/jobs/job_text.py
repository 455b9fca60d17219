"""Text that a job hands over and that is stored: the one place where it is masked, or refused.

What is only shown is masked. What names something (an image, an artifact, a variable) cannot be masked, since another
thing would then be meant: it is refused where it holds a secret.
"""

from danube_pkg.core.errors import Invalid
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.report_notes import ReportNote
from danube_pkg.core.jobs.reports import JobReport
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.kit.records import replace


class JobText:
    """log: the job's, which knows every secret that the job can read."""

    def __init__(self, log: JobLog) -> None:
        self._log = log

    def masked(self, text: str) -> str:
        return self._log.redact(text)

    def masked_report(self, report: JobReport) -> JobReport:
        """Names and messages of tests come from the programs that ran them."""
        cases = tuple(
            replace(one, name=self.masked(one.name), message=self.masked(one.message), file=self.masked(one.file))
            for one in report.cases
        )
        counts = replace(report.counts, failures=tuple(map(self.masked, report.counts.failures)))
        return JobReport(counts, cases)

    def masked_note(self, note: ReportNote) -> ReportNote:
        """Summaries, and what tools report, may have what they printed."""
        coverage = note.coverage
        if coverage is not None:
            files = tuple(replace(one, file=self.masked(one.file)) for one in coverage.files)
            coverage = replace(coverage, name=self.masked(coverage.name), files=files)
        annotations = tuple(
            replace(one, message=self.masked(one.message), file=self.masked(one.file)) for one in note.annotations
        )
        return ReportNote(note.sequence, self.masked(note.summary), coverage, annotations)

    def refuse_secret(self, what: str, text: str) -> None:
        """Raises Invalid for a text with a secret in it. what: `the image of step 1`; no message has the text."""
        if self.masked(text) != text:
            raise Invalid(
                "name-holds-secret",
                f"{what} holds a secret",
                cause="it would be stored and shown in clear",
                hint="leave the secret out of names and pass it to the command with env=; a secret whose value is an"
                " ordinary word is found in names too: danube secrets set",
            )

    def check_request(self, request: StepRequest) -> None:
        """Raises Invalid where a part of a step that is stored or shown holds a secret."""
        step = f"step {request.sequence}"
        self.refuse_secret(f"the image of {step}", request.image)
        self.refuse_secret(f"the shell of {step}", request.shell)
        self.refuse_secret(f"the working directory of {step}", request.working_directory)
        for name in request.environment:
            self.refuse_secret(f"the name of an environment variable of {step}", name)
