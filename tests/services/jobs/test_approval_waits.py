"""A job that waits for approval of an environment: frozen, without a slot, over restarts, until an approver decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from danube_pkg.adapters.store import SqliteAudit
from danube_pkg.core.configuration.environments import EnvironmentSpec
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.configuration.state import Applied, PipelineDefinition, State
from danube_pkg.core.errors import Conflict, Forbidden, Invalid
from danube_pkg.core.identity.access import LOCAL_ADMINISTRATOR, Actor, ActorKind, TeamRole
from danube_pkg.core.identity.audit import AuditKeys
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.environment_approvals import LONGEST_WAIT_SECONDS, ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, step_id
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import Environment
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.jobs.environment_decisions import EnvironmentDecisions
from tests.fakes.machine import FakeMachine
from tests.fakes.supervisor import FakeStep
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

SECONDS = 30
AUDIT_KEY = b"k" * 32
DEPLOY = replace(
    PIPELINE,
    settings=replace(
        PIPELINE.settings,
        environments=(Environment("production", ("ops", "carol@example.com"), secrets=("DEPLOY_KEY",)),),
    ),
)
ALICE = Actor("alice@example.com", ActorKind.PERSON, teams={"ops": TeamRole.MEMBER})
BOB = Actor("bob@example.com", ActorKind.PERSON, teams={"ops": TeamRole.MEMBER})
DAVE = Actor("dave@example.com", ActorKind.PERSON, global_admin=True, teams={"admins": TeamRole.ADMIN})
ASKED = ev.EnvironmentRequested(1, "production")


async def running_job(setup: EngineSetup, by: str = "alice@example.com") -> str:
    """A job whose coordinator hangs, so that the test calls in its place."""
    job = await setup.engine.submit(DEPLOY, Trigger("manual", by))
    await setup.engine.active_job(job.id).wait_until(has_started)
    return job.id


def has_started(job: Job) -> bool:
    """Whether its danubefile runs."""
    program = job.step(COORDINATOR_SEQUENCE)
    return program is not None and program.phase is StepPhase.STARTED


def coordinator_of(setup: EngineSetup, job_id: str) -> FakeStep:
    pod = setup.machine.pods[setup.engine.active_job(job_id).job.pod_id]
    return pod.containers[0].supervisor.steps[step_id(job_id, COORDINATOR_SEQUENCE), 1]


def decisions_of(setup: EngineSetup) -> EnvironmentDecisions:
    audit = Audit(SqliteAudit(setup.database, AUDIT_KEY), SystemClock(), AuditKeys(AUDIT_KEY))
    return EnvironmentDecisions(setup.engine, setup.jobs, setup.applied, setup.secrets, audit)


@asynccontextmanager
async def asking(
    setup: EngineSetup, job_id: str, asked: ev.EnvironmentRequested = ASKED
) -> AsyncIterator["asyncio.Task[tuple[EnvironmentApproval, float]]"]:
    """The coordinator's call, once its pod is frozen."""
    call = asyncio.create_task(setup.coordination.ask_for_environment(job_id, asked), name="ask")
    try:
        await wait_until_async(lambda: coordinator_of(setup, job_id).frozen, SECONDS, "a frozen pod")
        yield call
    finally:
        call.cancel()
        await asyncio.wait([call])


def job_of(setup: EngineSetup, job_id: str) -> Job:
    return setup.engine.active_job(job_id).job


async def test_the_secret_of_an_environment_appears_when_another_user_has_approved_it(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "DEPLOY_KEY"), b"the-deploy-key", "admin")
        job_id = await running_job(setup)
        with pytest.raises(Forbidden) as refused:
            await setup.coordination.read_secret(job_id, 1, "DEPLOY_KEY")
        assert (refused.value.reference, refused.value.hint) == (
            "secret-of-environment",
            'ask for it first: approval("production")',
        )
        async with asking(setup, job_id) as call:
            with pytest.raises(Forbidden):
                await setup.coordination.read_secret(job_id, 2, "DEPLOY_KEY")
            await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True, reason="reviewed")
            approval, deadline_at = await call
        assert (approval.decided_by, approval.reason) == ("bob@example.com", "reviewed")
        assert deadline_at == job_of(setup, job_id).deadline_at
        await wait_until_async(lambda: not coordinator_of(setup, job_id).frozen, SECONDS, "a thawed pod")
        assert await setup.coordination.read_secret(job_id, 3, "DEPLOY_KEY") == b"the-deploy-key"
        entries = await SqliteAudit(setup.database, AUDIT_KEY).list_entries(actor="bob@example.com")
        assert [(one.event.action, one.event.details["environment"]) for one in entries] == [
            ("approve-environment", "production")
        ]
        stored = await setup.jobs.load_job(job_id)
        assert stored is not None
        assert stored.approvals == job_of(setup, job_id).approvals


async def no_token(job: Job, audience: str) -> str:
    raise AssertionError("no place outside is asked")


async def test_one_step_of_a_users_own_run_gets_the_secrets_that_the_user_gave(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "DEPLOY_KEY"), b"the-deploy-key", "admin")
        job = job_of(setup, await running_job(setup))
        for local, only_step, refused in ((True, "Tests", False), (True, "", True), (False, "Tests", True)):
            settings = replace(job.settings, approved_locally=local, only_step=only_step)
            reading = setup.secrets.read_for_job(replace(job, settings=settings), 1, "DEPLOY_KEY", no_token)
            with pytest.raises(Forbidden) if refused else nullcontext():
                assert await reading == b"the-deploy-key"


async def test_who_may_decide(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        decide = decisions_of(setup).decide
        async with asking(setup, job_id):
            waiting = job_of(setup, job_id)
            for actor, reference in ((ALICE, "self-approval"), (DAVE, "not-an-approver")):
                with pytest.raises(Forbidden) as refused:
                    await decide(waiting, actor, 1, approve=True)
                assert (refused.value.reference, bool(refused.value.hint)) == (reference, True)
            with pytest.raises(Forbidden):
                await decide(waiting, LOCAL_ADMINISTRATOR, 1, approve=True)
            with pytest.raises(Conflict):
                await decide(waiting, BOB, 2, approve=True)
            refusals = decisions_of(setup).refusals
            own = "alice@example.com may not approve production: the same user has started the job"
            assert await refusals(waiting, ALICE) == {True: own, False: ""}
            assert await refusals(waiting, BOB) == {True: "", False: ""}
            other = "dave@example.com may not decide about production: its approvers are ops, carol@example.com"
            assert await refusals(waiting, DAVE) == {True: other, False: other}
            assert job_of(setup, job_id).approvals[0].state is ApprovalState.WAITING


async def test_the_starter_of_an_upstream_job_and_a_forges_account_may_not_approve(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        upstream = await running_job(setup)
        trigger = Trigger("pipeline", "pipeline build", upstream_job_id=upstream)
        started = await setup.engine.submit(DEPLOY, trigger)
        await setup.engine.active_job(started.id).wait_until(has_started)
        for job_id in (started.id, await running_job(setup, by="Alice")):
            async with asking(setup, job_id):
                with pytest.raises(Forbidden, match="may not approve production"):
                    await decisions_of(setup).decide(job_of(setup, job_id), ALICE, 1, approve=True)


async def test_a_user_who_has_left_the_approvers_may_not_decide(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        spec = PipelineSpec("repository", environments={"production": EnvironmentSpec(("carol@example.com",))})
        definition = PipelineDefinition("hello", "team", spec)
        setup.applied.replace(State(pipelines={"hello": definition}), Applied())
        async with asking(setup, job_id):
            with pytest.raises(Forbidden) as refused:
                await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True)
            assert refused.value.cause == "its approvers are carol@example.com"


async def test_a_reason_that_holds_a_secret_is_refused(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "DEPLOY_KEY"), b"hunter22-hunter22", "admin")
        job_id = await running_job(setup)
        async with asking(setup, job_id):
            with pytest.raises(Invalid, match="the reason holds a secret"):
                await decisions_of(setup).decide(
                    job_of(setup, job_id), BOB, 1, approve=True, reason="hunter22-hunter22"
                )


@pytest.mark.parametrize("end", ["reject", "cancel", "expire"])
async def test_each_end_of_the_wait_ends_the_job_and_its_call(tmp_path: Path, end: str) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        async with asking(setup, job_id, ev.EnvironmentRequested(1, "production", 1 if end == "expire" else 0)) as call:
            active = setup.engine.active_job(job_id)
            if end == "reject":
                await decisions_of(setup).decide(job_of(setup, job_id), ALICE, 1, approve=False, reason="too late")
            elif end == "cancel":
                await setup.engine.cancel(job_id, "carol")
            with pytest.raises(Conflict) as refused:
                await call
            assert refused.value.reference == "job-ending"
            job = await active.wait_until(lambda job: job.status.ended)
        assert (job.status, job.reason) == {
            "reject": (Status.FAILURE, Reason.ENVIRONMENT_REJECTED),
            "cancel": (Status.CANCELLED, Reason.CANCELLED),
            "expire": (Status.TIMEOUT, Reason.ENVIRONMENT_TIMEOUT),
        }[end]


async def test_others_start_in_its_slot_and_it_waits_for_one_after_the_approval(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(1)
        job_id = await running_job(setup)
        async with asking(setup, job_id) as call:
            other = await running_job(setup)
            await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True)
            await setup.engine.submit(DEPLOY, Trigger("manual", "x"))
            assert job_of(setup, job_id).approvals[0].state is ApprovalState.APPROVED
            assert coordinator_of(setup, job_id).frozen
            await setup.engine.cancel(other, "carol")
            await call
        assert job_of(setup, job_id).runs_steps


async def test_a_restarted_server_continues_the_wait(tmp_path: Path) -> None:
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        async with asking(setup, job_id):
            expires_at = job_of(setup, job_id).approvals[0].expires_at
    async with open_engine_setup(tmp_path, machine) as setup:
        assert job_of(setup, job_id).approvals[0].expires_at == expires_at
        call = asyncio.create_task(setup.coordination.ask_for_environment(job_id, ASKED), name="ask")
        await wait_until_async(lambda: coordinator_of(setup, job_id).freezes.count(True) == 2, SECONDS, "a freeze")
        await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True)
        approval, _ = await call
        assert approval.decided_by == "bob@example.com"
        await wait_until_async(lambda: not coordinator_of(setup, job_id).frozen, SECONDS, "a thawed pod")


async def test_a_server_that_was_killed_between_the_grant_and_the_thaw_thaws(tmp_path: Path) -> None:
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        async with asking(setup, job_id):
            await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True)
            await setup.engine.active_job(job_id).wait_until(lambda job: job.runs_steps)
        coordinator_of(setup, job_id).frozen = True
    async with open_engine_setup(tmp_path, machine) as setup:
        await wait_until_async(lambda: not coordinator_of(setup, job_id).frozen, SECONDS, "a thawed pod")


async def test_the_log_says_what_it_waits_for_and_who_decided(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        async with asking(setup, job_id) as call:
            await decisions_of(setup).decide(job_of(setup, job_id), BOB, 1, approve=True, reason="reviewed")
            await call
        text = (tmp_path / "logs" / f"{job_id}.log").read_text
        await wait_until_async(lambda: "was approved by" in text(), SECONDS, "the line of the approval")
        lines = [line for line in text().splitlines() if "production" in line]
        assert lines[0].startswith("--- waits for approval of production by ops, carol@example.com, until 20")
        assert lines[1] == "--- production was approved by bob@example.com: reviewed"


async def test_a_pod_that_cannot_live_longer_later_has_the_time_of_its_waits(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        job = job_of(setup, job_id)
        spec = setup.machine.pods[job.pod_id].spec
        assert LONGEST_WAIT_SECONDS < spec.deadline_seconds <= LONGEST_WAIT_SECONDS + job.settings.max_duration_seconds
