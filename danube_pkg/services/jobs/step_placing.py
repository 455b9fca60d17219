"""Gives each attempt of a step its container; a step with a snapshot may be restored instead."""

from collections.abc import Sequence
from functools import partial

from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.reasons import Reason, Status, reason_named
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, ContainerFile
from danube_pkg.kit.tasks import until
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.job_snapshots import JobSnapshots
from danube_pkg.services.jobs.job_text import JobText
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.repeated_steps import note_again
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.waits import EGRESS, Waits

MAX_MESSAGE_LENGTH = 2000
"""For the message of a failure; the whole text is in the log."""


class StepPlacing:
    """For the steps of all jobs."""

    def __init__(
        self, ports: EnginePorts, resources: JobResources, waits: Waits, builds: ImageBuilds, snapshots: JobSnapshots
    ) -> None:
        self._ports = ports
        self._resources = resources
        self._waits = waits
        self._builds = builds
        self._snapshots = snapshots

    async def pauses(self, active: ActiveJob, step: Step) -> bool:
        """Wait a part of the pause before a further attempt, in case that it is not over."""
        if (seconds := (step.next_attempt_at or 0.0) - self._ports.clock.now()) <= 0:
            return False
        changed = active.wait_until(lambda job: active.step(step.sequence) is not step)
        await until(changed, self._ports.clock.sleep(seconds), name=f"pause {step.id}")
        return True

    async def place(self, active: ActiveJob, step: Step, request: StepRequest) -> None:
        """Assign the attempt to a running container of its image; once that is stored, it is never assigned to
        another. A step that has a snapshot is restored where it can be."""
        try:
            container = await self._container(active, step)
            if not request.snapshot:
                note_again(await self._resources.log(active), active, step, has_snapshot=False)
                await self._assign(active, step, container)
                return
            async with active.placing:
                if active.step(step.sequence).phase is not StepPhase.WAITING:
                    return
                digest = await self._ports.runtime.image_digest(container)
                if not await self._snapshots.prepare(active, step, request, container, digest):
                    note_again(await self._resources.log(active), active, step, has_snapshot=True)
                    await self._assign(active, step, container)
        except Permanent as error:
            await self._fail(active, step, error)

    async def mask(self, active: ActiveJob, *values: bytes) -> None:
        """From now on, in the log and in the egress ledger."""
        mask = partial(self._resources.mask, active, *values)
        await self._waits.until_done(active, EGRESS, mask, Reason.INFRASTRUCTURE_LOST)

    async def _container(self, active: ActiveJob, step: Step) -> Container:
        files: Sequence[ContainerFile] = ()
        if self._builds.is_build(step.image) and (password := self._builds.password(active.job)):
            await self.mask(active, password.encode())
            files = self._builds.files(active.job)
        rebuild = active.job.trigger.rebuild
        pinned = rebuild.pinned(step.image) if rebuild is not None else step.image
        return await self._waits.until_done(
            active,
            f"a container of image {step.image!r}",
            partial(self._ports.runtime.ensure_container, active.job.pod_id, pinned, files, step.isolation),
            Reason.POD_FAILED if step.image == HOST_IMAGE else Reason.IMAGE_PULL_FAILED,
        )

    async def _assign(self, active: ActiveJob, step: Step, container: Container) -> None:
        kills = await self._ports.runtime.memory_kills(container)
        digest = await self._ports.runtime.image_digest(container)
        await active.apply(ev.StepPlaced(step.sequence, step.attempt, container.number, kills, digest))

    async def _fail(self, active: ActiveJob, step: Step, error: Permanent) -> None:
        hint = f"; {error.hint}" if error.hint else ""
        reason = reason_named(error.reference, Reason.POD_FAILED)
        text = JobText(await self._resources.log(active))
        begun = "was not run" if reason is Reason.INFRASTRUCTURE_LOST else f"has no container for image {step.image!r}"
        message = text.masked(f"{begun}: {error}{hint}")[:MAX_MESSAGE_LENGTH]
        end = ev.StepEnd(status=Status.FAILURE, reason=reason, message=message)
        await active.apply(ev.StepEnded(step.sequence, step.attempt, end))
