"""Decisions of users about environments that running jobs ask for."""

from collections.abc import Mapping

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.environments import environments_of
from danube_pkg.core.errors import Conflict, Forbidden
from danube_pkg.core.identity.access import Actor
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.approvers import check_may_decide
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval, open_approval
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.pipelines import Environment
from danube_pkg.core.store import JobStore
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.secrets import Secrets

MAX_UPSTREAM = 10
"""Pipelines that started each other, whose starters count: a user must not approve by a detour."""


class EnvironmentDecisions:
    """Checks who decides, and records it before anything of the environment appears."""

    def __init__(
        self, engine: Engine, jobs: JobStore, applied: AppliedConfiguration, secrets: Secrets, audit: Audit
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._applied = applied
        self._secrets = secrets
        self._audit = audit

    async def decide(self, job: Job, actor: Actor, sequence: int, *, approve: bool, reason: str = "") -> Job:
        """Stored when this returns. Raises Forbidden for a user who may not, Conflict where the job does not wait for
        it, Invalid for a reason that holds a secret."""
        approval = waiting_approval(job)
        if approval is None or approval.sequence != sequence:
            raise not_waiting(job)
        await self._secrets.refuse_clear({"the reason": reason})
        environment, present = self._environments(job, approval)
        check_may_decide(environment, present, actor, await self._starters(job), approve=approve)
        decided = await self._engine.active_job(job.id).apply(
            ev.EnvironmentDecided(sequence, actor.name, approve, reason)
        )
        self._engine.wake_scheduler()
        details = {"pipeline": job.pipeline, "environment": approval.environment, "reason": reason}
        action = "approve-environment" if approve else "reject-environment"
        await self._audit.record(AuditEvent(0.0, actor.name, action, f"job {job.id}", details=details))
        return decided

    async def refusals(self, job: Job, actor: Actor) -> Mapping[bool, str]:
        """Why the caller may not approve (True) and may not reject (False) what the job waits for; "" for each that the
        caller may. Empty where it waits for no decision."""
        if (approval := waiting_approval(job)) is None:
            return {}
        environment, present = self._environments(job, approval)
        starters, found = await self._starters(job), dict.fromkeys((True, False), "")
        for approve in found:
            try:
                check_may_decide(environment, present, actor, starters, approve=approve)
            except Forbidden as error:
                found[approve] = str(error)
        return found

    def _environments(self, job: Job, approval: EnvironmentApproval) -> tuple[Environment, Environment | None]:
        """As the job has it, and as the pipeline has it now."""
        own = job.settings.environment_named(approval.environment) or Environment(approval.environment)
        definition = self._applied.state.pipelines.get(job.pipeline)
        now = environments_of(definition.spec.environments) if definition is not None else ()
        return own, next((one for one in now if one.name == approval.environment), None)

    async def _starters(self, job: Job) -> frozenset[str]:
        """The accounts that started the job, and the jobs whose ends led to it."""
        found = {job.trigger.actor}
        for _ in range(MAX_UPSTREAM):
            upstream = await self._jobs.load_job(job.trigger.upstream_job_id) if job.trigger.upstream_job_id else None
            if upstream is None:
                break
            job = upstream
            found.add(job.trigger.actor)
        return frozenset(found)


def waiting_approval(job: Job) -> EnvironmentApproval | None:
    """The one whose decision is awaited; None where there is none."""
    approval = open_approval(job.approvals) if job.waits_for_approval else None
    return approval if approval is not None and approval.state is ApprovalState.WAITING else None


def not_waiting(job: Job) -> Conflict:
    """The error of a decision that the job does not wait for."""
    return Conflict(
        "environment-approval-not-needed",
        f"{job.label} does not wait for this approval",
        hint="danube explain JOB shows what it waits for",
    )
