"""The approver of `danube run`: environments that were approved beforehand, and those without a terminal to ask."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.cli.local_approver import USER, LocalApprover
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.environment_approvals import ApprovalState
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.kit.records import replace
from tests.services.stores import PIPELINE
from tests.support.engine import open_engine_setup

LOCAL = replace(PIPELINE, settings=replace(PIPELINE.settings, approved_locally=True))


@pytest.mark.parametrize(
    ("approved", "state"), [(("production",), ApprovalState.GRANTED), (("prodution",), ApprovalState.REJECTED)]
)
async def test_what_was_not_approved_beforehand_is_rejected_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: tuple[str, ...], state: ApprovalState
) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job = await setup.engine.submit(LOCAL, Trigger("manual", "danube run"))
        active = setup.engine.active_job(job.id)
        await active.wait_until(lambda job: job.phase is Phase.RUNNING)
        waiting = await active.apply(ev.EnvironmentRequested(1, "production"))
        approver = LocalApprover(setup.engine, approved, may_ask=False)
        async with asyncio.TaskGroup() as group:
            for _ in range(2):  # each change is seen; the request is decided once
                approver.see(waiting, group)
        decided = await active.wait_until(lambda job: not job.approvals[0].is_open)
        assert (decided.approvals[0].state, decided.approvals[0].decided_by) == (state, USER)
    rejected = state is ApprovalState.REJECTED
    hint = "danube: production is rejected, without a terminal to ask: danube run --approve production"
    assert (f"{hint} (and not --approve prodution)" in capsys.readouterr().err) == rejected
    assert list(approver.unused) == (["prodution"] if rejected else [])
