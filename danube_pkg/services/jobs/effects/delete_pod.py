"""DELETE_POD: everything that the runtime has of the job."""

from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent, PodDeleted
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.services.jobs.active_job import ActiveJob


class DeletePod:
    """An `EffectHandler`."""

    kind = EffectKind.DELETE_POD

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def perform(self, active: ActiveJob) -> JobEvent:
        await self._runtime.delete_pod(active.job.pod_id)
        return PodDeleted()
