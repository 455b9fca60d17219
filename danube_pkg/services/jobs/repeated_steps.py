"""What is said of the steps of a job that repeats another one for its failed steps."""

from danube_pkg.core.jobs.explanation import GREEN
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.store import JobStore
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import one_line


async def end_before(active: ActiveJob, jobs: JobStore, sequence: int, image: str) -> str:
    """How the same step ended in the job that is repeated, as a `StepStatus`; "" where there is none."""
    trigger = active.job.trigger
    if not trigger.failed_steps:
        return ""
    if active.repeated is None:
        active.repeated = await jobs.load_job(trigger.rerun_of)
    step = active.repeated.step(sequence) if active.repeated is not None else None
    return step.shown_status if step is not None and step.image == image else ""


def note_again(log: JobLog, active: ActiveJob, step: Step, *, has_snapshot: bool) -> None:
    """A step that was green and runs all the same has a line that says why."""
    if step.before in GREEN and step.attempt == 1:
        why = "its snapshot could not be restored" if has_snapshot else "it has no snapshot"
        was = f"was green in job {active.job.trigger.rerun_of} and runs again"
        log.note(f"again:{step.sequence}", 0, f'--- step {step.sequence} "{one_line(step.name)}" {was}: {why}')
