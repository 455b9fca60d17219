"""What a job has reported of its tests."""

from danube_pkg.core.jobs.reports import CaseStatus
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.report_notes import JobNotes, job_notes
from danube_pkg.edges.http.views.reports import ReportedTests, reported_tests

MAX_HISTORIES = 50
"""Tests of which earlier jobs are searched for one answer; a job with more failures has one cause."""


class JobTests(Resource):
    """`/api/v1/jobs/{job}/tests`."""

    async def GET(self, request: Request) -> ReportedTests:
        """The tests that a job has reported: failed ones first, with their last results."""
        job, reports = request.job, self.services.jobs.reports
        cases = await reports.list_cases(job.id)
        wanted = [one.name for one in cases if one.status is not CaseStatus.PASSED][:MAX_HISTORIES]
        past = {name: await reports.past_results(job.id, name) for name in dict.fromkeys(wanted)}
        return reported_tests(job, cases, past)


class JobNotesResource(Resource):
    """`/api/v1/jobs/{job}/notes`."""

    async def GET(self, request: Request) -> JobNotes:
        """Summaries, coverage and annotations that a job has reported."""
        return job_notes(await self.services.jobs.notes.list_notes(request.job.id))
