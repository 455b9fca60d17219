"""The grace period of a job that was cancelled or has reached its deadline: its steps are stopped, and its danubefile
has some seconds for clean-up and uploads."""

from danube_pkg.core.jobs.events import GraceEnded
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import write_grace
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.supervisor_calls import stop_step

STOP_AGAIN_SECONDS = 0.5
"""Before a step is stopped again whose supervisor could not be reached."""


async def end_grace(active: ActiveJob, log: JobLog, ports: EnginePorts) -> None:
    """Write the line of the log that announces it, and end it when its time is over."""
    write_grace(log, active.job)
    while (seconds := (active.job.grace_until or 0.0) - ports.clock.now()) > 0:
        await ports.clock.sleep(seconds)
    await active.apply(GraceEnded())


async def stop_until_ended(active: ActiveJob, sequence: int, ports: EnginePorts) -> None:
    """Stop a step, and repeat it while its supervisor cannot be reached. Returns when the step has ended."""
    while (step := active.step(sequence)).phase is not StepPhase.ENDED:
        phase, attempt = step.phase, step.attempt
        if phase is StepPhase.STARTED and not await stop_step(active.job, step, ports):
            await ports.clock.sleep(STOP_AGAIN_SECONDS)
            continue

        def has_moved(job: Job) -> bool:
            now = active.step(sequence)
            return (now.phase, now.attempt) != (phase, attempt)  # noqa: B023 - awaited within this round

        await active.wait_until(has_moved)
