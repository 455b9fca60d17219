"""Decisions about environments that a running job asks for."""

from enum import StrEnum
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.jobs.environment_approvals import MAX_REASON
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.jobs import JobSummary, job_summary
from danube_pkg.kit.records import Record


class ApprovalDecision(StrEnum):
    """What an approver decides."""

    APPROVE = "approve"
    REJECT = "reject"


class EnvironmentDecision(Record):
    """An approver's decision."""

    sequence: Annotated[int, rule("The number of the approval in the job, as the job shows it.", at_least=0)]
    decision: Annotated[ApprovalDecision, rule("approve: the job continues; reject: it ends.")]
    reason: Annotated[str, rule("Why, in your words; stored with the job.", pattern=rf"[^\x00]{{0,{MAX_REASON}}}")] = ""


class JobEnvironment(Resource):
    """`/api/v1/jobs/{job}/environment`."""

    @answers(202, refuses=(409,))
    async def POST(self, request: Request, body: EnvironmentDecision) -> JobSummary:
        """Approve or reject the environment that a running job waits for. Only its approvers may."""
        approve = body.decision is ApprovalDecision.APPROVE
        decide = self.services.jobs.decisions.decide
        return job_summary(await decide(request.job, request.actor, body.sequence, approve=approve, reason=body.reason))
