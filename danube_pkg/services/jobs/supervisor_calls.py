"""Short calls of a step's supervisor, `danube-step`: stop, freeze or thaw a step, read its output again. follower.py
follows a step."""

import asyncio
import logging

from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.jobs.coordination import MAX_OUTPUT_BYTES, StepRequest
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container, ContainerRole
from danube_pkg.core.runtimes.supervisor import Ended, FrameParser, Output, Refused, Started, StepSpec, encode_request
from danube_pkg.services.jobs.output_tail import OutputTail
from danube_pkg.services.jobs.ports import EnginePorts

SILENCE_SECONDS = 10.0
"""The supervisor's heartbeat comes every 2 s; five missed ones mean a dead connection."""

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL, for a timeout and for a stop."""

_BEHIND_EVERY_OUTPUT = 2**63 - 1
"""An offset from which there is nothing to read."""

_log = logging.getLogger("danube.steps")


async def stop_step(job: Job, step: Step, ports: EnginePorts) -> bool:
    """Stop a step's processes: SIGTERM, then SIGKILL. Returns when they are gone, or cannot be reached.

    True when the supervisor knows the step, so that its follower will receive the end.
    """
    spec = StepSpec(
        step_id=step.id,
        attempt=step.attempt,
        key=ports.keys.step_key(step.id, step.attempt),
        grace_ms=int(GRACE_SECONDS * 1000),
    )
    parser, known = FrameParser(), False
    try:
        stream = await ports.runtime.exec(container_of(job.pod_id, step), (SUPERVISOR, "kill"))
        try:
            await stream.write(encode_request(spec, _BEHIND_EVERY_OUTPUT, kill=True))
            while data := await stream.read():
                known |= any(isinstance(frame, Started) for frame in parser.feed(data))
        finally:
            await stream.close()
    except PlatformError as error:
        fields = {"job": job.id, "step": step.sequence, "cause": str(error)}
        _log.info("step-not-stopped", extra={"fields": fields})
    return known


async def freeze_step(job: Job, step: Step, ports: EnginePorts, *, thaw: bool = False) -> None:
    """Stop a step's processes until they are continued, which is `thaw`. Its timeout does not run meanwhile. Both may
    be repeated. Raises PlatformError where that is not certain, and Permanent where the container cannot do it."""
    verb = "thaw" if thaw else "freeze"
    spec = StepSpec(step_id=step.id, attempt=step.attempt, key=ports.keys.step_key(step.id, step.attempt))
    parser, hint = FrameParser(), "danube doctor checks this machine; the job waits all the same"
    what = f"the container did not {verb} the danubefile's process"
    stream = await ports.runtime.exec(container_of(job.pod_id, step), (SUPERVISOR, verb))
    try:
        await stream.write(encode_request(spec, _BEHIND_EVERY_OUTPUT))
        async with asyncio.timeout(SILENCE_SECONDS):
            while data := await stream.read():
                for frame in parser.feed(data):
                    if isinstance(frame, Started):
                        return
                    if isinstance(frame, Refused):
                        raise Unavailable("not-frozen", what, cause=frame.message, hint=hint)
    except TimeoutError as error:
        raise Unavailable("not-frozen", what, cause="its supervisor did not answer", hint=hint) from error
    finally:
        await stream.close()
    raise Permanent("freeze-unsupported", what, cause="its supervisor is an older one", hint=hint)


async def read_output_again(pod_id: str, step: Step, ports: EnginePorts) -> bytes | None:
    """The end of an ended step's output, for a call that is repeated after a restart; None where it is lost."""
    total = step.end.output_bytes if step.end else 0
    spec = StepSpec(step_id=step.id, attempt=step.attempt, key=ports.keys.step_key(step.id, step.attempt))
    tail = OutputTail()
    try:
        stream = await ports.runtime.exec(container_of(pod_id, step), (SUPERVISOR, "run"))
        try:
            await stream.write(encode_request(spec, max(0, total - MAX_OUTPUT_BYTES)))
            parser = FrameParser()
            async with asyncio.timeout(SILENCE_SECONDS):
                while data := await stream.read():
                    for frame in parser.feed(data):
                        if isinstance(frame, Output):
                            tail.add(frame.offset, frame.data)
                        if isinstance(frame, Ended):
                            return tail.last_of(total)
        finally:
            await stream.close()
    except (TimeoutError, PlatformError) as error:
        _log.info("output-not-read-again", extra={"fields": {"step": step.id, "cause": str(error)}})
    return None


def container_of(pod_id: str, step: Step) -> Container:
    """The container that a placed step was assigned to."""
    role = ContainerRole.COORDINATOR if step.sequence == COORDINATOR_SEQUENCE else ContainerRole.WORKER
    return Container(pod_id, step.container or 0, role, step.image)


def coordinator_request(job: Job, command: str, now: float) -> StepRequest:
    """The coordinator's program is a step like any other. Its timeout ends it also when no server runs."""
    left = int((job.deadline_at or 0.0) - now) + int(2 * GRACE_SECONDS) + job.settings.grace_seconds
    return StepRequest(
        sequence=COORDINATOR_SEQUENCE,
        name=job.settings.script,
        command=command,
        image="",
        environment={},
        working_directory="/workspace",
        timeout_seconds=max(1, left),
        retries=0,
        check=True,
    )
