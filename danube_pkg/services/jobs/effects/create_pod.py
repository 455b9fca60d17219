"""CREATE_POD: the job's pod with its coordinator's container."""

import logging

from danube_pkg.core.errors import HostLacks, Permanent, Retryable
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.environment_approvals import LONGEST_WAIT_SECONDS
from danube_pkg.core.jobs.events import JobEvent, PodFailed, PodReady
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.reasons import Reason, reason_named
from danube_pkg.core.runtimes.pods import Limits, PodSpec
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.waits import POD, Waits

_log = logging.getLogger("danube.effects")


class CreatePod:
    """An `EffectHandler`. A permanent failure, and a bug, end the job: PodFailed."""

    kind = EffectKind.CREATE_POD

    def __init__(self, ports: EnginePorts, resources: JobResources) -> None:
        self._ports = ports
        self._resources = resources
        self._waits = Waits(ports.timing, resources.log)

    async def perform(self, active: ActiveJob) -> JobEvent:
        try:
            await self._resources.log(active)
            container = await self._ports.runtime.create_pod(await self._pod(active.job))
            enforced_by = await self._ports.runtime.egress_enforced_by(container.pod_id)
        except Retryable as error:
            try:
                await self._waits.failed(active, POD, error, Reason.POD_FAILED)
            except Permanent as lasting:
                return _pod_failed(lasting)
            raise
        except Permanent as error:
            return _pod_failed(error)
        except Exception as error:  # noqa: BLE001 - retrying a bug would keep the job's slot until its deadline
            fields = {"job": active.job.id, "effect": str(self.kind), "cause": str(error)}
            _log.exception("effect-failed", extra={"fields": fields})
            return PodFailed(Reason.POD_FAILED, f"the pod could not be created: {error}")
        await self._waits.over(active, POD)
        return PodReady(container.number, enforced_by)

    async def _pod(self, job: Job) -> PodSpec:
        spec, logins = pod_spec(job, self._ports), self._ports.logins
        if logins is None:
            return spec
        files = logins.builder_files(job) if spec.builds_images else ()
        return replace(spec, builder_files=files, pull_logins=await logins.pull_logins(job))


def pod_spec(job: Job, ports: EnginePorts) -> PodSpec:
    """The pod of a job, by the settings that it was created with."""
    settings = job.settings
    limits = Limits(
        memory_bytes=settings.memory_mb * 1024**2,
        cpu_cores=settings.cpu,
        workspace_bytes=settings.workspace_size_gb * 1024**3,
    )
    token = ports.keys.job_token(job.id)
    left = int(job.deadline_at - ports.clock.now()) + settings.grace_seconds if job.deadline_at is not None else 0
    left += LONGEST_WAIT_SECONDS if settings.environments else 0  # a cluster cannot raise the limit of a pod later
    return PodSpec(
        job.pod_id,
        job.id,
        job.pipeline,
        limits,
        settings.network,
        token,
        run_as_root=settings.run_as_root,
        builds_images=settings.builds_images,
        allowlist=settings.egress_allowlist,
        placement=settings.placement,
        deadline_seconds=max(1, left) if job.deadline_at is not None else 0,
    )


def _pod_failed(error: Permanent) -> PodFailed:
    """A runtime's permanent errors have a Reason as their reference where one fits."""
    hint = f"; {error.hint}" if error.hint else ""
    general = Reason.HOST_LACKS if isinstance(error, HostLacks) else Reason.POD_FAILED
    return PodFailed(reason_named(error.reference, general), f"{error}{hint}")
