"""Approvals of `danube run`: its user is the approver, on the terminal or beforehand by `--approve ENVIRONMENT`."""

import asyncio
import sys
from collections.abc import Collection

from danube_pkg.cli.output import say
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.environment_approvals import EnvironmentApproval, open_approval, waits_for_decision
from danube_pkg.core.jobs.events import EnvironmentDecided
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.engine import Engine

USER = "the user of danube run"


class LocalApprover:
    """Decides what one run asks for. approved: environments that are approved beforehand. may_ask: whether standard
    output is for people."""

    def __init__(self, engine: Engine, approved: Collection[str], *, may_ask: bool) -> None:
        self._engine = engine
        self._approved = approved
        self._may_ask = may_ask
        self._seen: set[int] = set()
        self._asked: set[str] = set()

    @property
    def unused(self) -> Collection[str]:
        """Environments that were approved beforehand and that the run did not ask for, in order."""
        return [one for one in dict.fromkeys(self._approved) if one not in self._asked]

    def see(self, job: Job, group: asyncio.TaskGroup) -> None:
        """Start to decide what the job waits for, once for each request."""
        approval = open_approval(job.approvals)
        if approval is None or not waits_for_decision(job.approvals) or approval.sequence in self._seen:
            return
        self._seen.add(approval.sequence)
        self._asked.add(approval.environment)
        group.create_task(self._decide(job.id, approval), name=f"approval {approval.sequence}")

    async def _decide(self, job_id: str, approval: EnvironmentApproval) -> None:
        active = self._engine.active_job(job_id)
        ending = active.wait_until(lambda job: not waits_for_decision(job.approvals))
        approve = await until(ending, self._is_approved(approval.environment), name=f"ask {approval.environment}")
        if approve is None:
            return
        try:
            await active.apply(EnvironmentDecided(approval.sequence, USER, approve))
            self._engine.wake_scheduler()
        except PlatformError as error:
            say(f"danube: {error}", file=sys.stderr)  # the run has ended meanwhile

    async def _is_approved(self, environment: str) -> bool:
        if environment in self._approved:
            return True
        if not (self._may_ask and sys.stdin.isatty()):
            text = f"danube: {environment} is rejected, without a terminal to ask: danube run --approve {environment}"
            others = ", ".join(f"--approve {one}" for one in self._approved)
            say(f"{text} (and not {others})" if others else text, file=sys.stderr)
            return False
        while True:
            say(f"approve the environment {environment}? [yes/no]", file=sys.stderr)
            answer = (await _line()).strip().lower()
            if answer in ("y", "yes", "n", "no", ""):
                return answer in ("y", "yes")


async def _line() -> str:
    """The next line of standard input, without a thread that could not be interrupted; "" at its end."""
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return sys.stdin.readline()
