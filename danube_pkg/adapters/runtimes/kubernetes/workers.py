"""Worker containers: ephemeral containers of a job's pod, one for each image, made on first use.

One that has ended stays in the pod, as the API has it; its successor has the next number.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.api import STRATEGIC_PATCH, ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.manifests import worker_manifest, worker_patch
from danube_pkg.adapters.runtimes.kubernetes.pod_watch import PodWatch
from danube_pkg.adapters.runtimes.kubernetes.settings import MAX_WORKERS, KubernetesSettings
from danube_pkg.adapters.runtimes.kubernetes.status import (
    ContainerStatus,
    PodStatus,
    RunState,
    end_of,
    read_pod,
    start_problem,
)
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, ContainerFile, ContainerRole

Notify = Callable[[str, str, str], None]
"""Pod id, job id, message."""


class ClusterWorkers:
    """The workers of all pods."""

    def __init__(self, settings: KubernetesSettings, api: ClusterApi, watch: PodWatch, notify: Notify) -> None:
        self._settings = settings
        self._api = api
        self._watch = watch
        self._notify = notify
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, pod_id: str, image: str, files: Sequence[ContainerFile] = ()) -> Container:
        """The running worker of that image. Raises as `Runtime.ensure_container` does."""
        await self._watch.synced()
        known = self._watch.pods.get(pod_id)
        if known is not None and (running := self._running(known, image)) is not None:
            return running
        async with self._locks.setdefault(pod_id, asyncio.Lock()):
            container = await self._added(pod_id, image, files)
        await self._started(container)
        return container

    def forget(self, pod_id: str) -> None:
        """The pod is gone."""
        self._locks.pop(pod_id, None)

    def _running(self, pod: PodStatus, image: str) -> Container | None:
        if pod.has_ended or pod.deleted_at is not None:
            return None
        return next((one.container for one in _workers(pod, image) if one.state is RunState.RUNNING), None)

    async def _added(self, pod_id: str, image: str, files: Sequence[ContainerFile]) -> Container:
        """The container of that image that runs or starts, added where there is none."""
        pod = await self._current(pod_id)
        for one in _workers(pod, image):
            if one.state is not RunState.ENDED:
                return one.container
        number = max((one.container.number for one in pod.containers), default=0) + 1
        if number > MAX_WORKERS:
            what = f"the job uses more than {MAX_WORKERS} containers in its pod"
            raise Permanent(Reason.POD_FAILED, what, hint="use fewer images, or several jobs")
        container = Container(pod_id, number, ContainerRole.WORKER, image)
        is_builder = self._settings.is_builder(image)
        if (is_builder and pod.namespace != self._settings.builds_namespace) or (files and not pod.has_builder_files):
            raise _no_builder(image)
        as_root = pod.is_root or is_builder
        worker = worker_manifest(container, self._settings, self._resolved(image), run_as_root=as_root, files=files)
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/ephemeralcontainers"
        await self._api.patch(path, worker_patch(worker), STRATEGIC_PATCH)
        return container

    def _resolved(self, image: str) -> str:
        """What the nodes pull. Raises Permanent for the machine's own programs, which a cluster does not have."""
        if image != HOST_IMAGE:
            return image
        if self._settings.default_image:
            return self._settings.default_image
        raise Permanent(
            Reason.IMAGE_PULL_FAILED,
            "a step without an image cannot run in a cluster, whose nodes have no programs for jobs",
            hint="name one: step.run(…, image=…), the pipeline's image, or default_image in [kubernetes] of danube.toml",
        )

    async def _current(self, pod_id: str) -> PodStatus:
        """The pod as the cluster has it now. Raises Permanent `pod-lost`."""
        known = self._watch.pods.get(pod_id)
        if known is not None:
            path = f"/api/v1/namespaces/{known.namespace}/pods/{names.object_name(pod_id)}"
            try:
                pod = read_pod(await self._api.get(path))
            except NotFound:
                pod = known
                self._watch.forget(pod_id)
            else:
                if not pod.has_ended and pod.deleted_at is None:
                    return pod
            if pod.cause is not None:
                raise _lost(pod_id, pod.cause[1])
        raise _lost(pod_id)

    async def _started(self, container: Container) -> None:
        """Wait until the container runs. Raises Permanent with the registry's sentence, or why it does not start."""
        said, problem_since = "", 0.0
        while True:

            def decided(said: str = said) -> tuple[PodStatus | None, ContainerStatus | None] | None:
                pod = self._watch.pods.get(container.pod_id)
                status = pod.status_of(container) if pod is not None else None
                if pod is None or pod.has_ended or (status is not None and status.state is not RunState.WAITING):
                    return pod, status
                problem = start_problem(status) if status is not None else None
                return (pod, status) if problem is not None and problem.message != said else None

            found = await self._watch.wait(decided, 1.0 if problem_since else self._settings.start_seconds)
            pod, status = found or (self._watch.pods.get(container.pod_id), None)
            if pod is None or pod.has_ended:
                raise _lost(container.pod_id, pod.cause[1] if pod is not None and pod.cause is not None else "")
            status = status or pod.status_of(container)
            if status is not None and status.state is RunState.RUNNING:
                return
            if status is not None and status.state is RunState.ENDED:
                reason, message = end_of(pod, status)
                reason = reason if reason is not Reason.POD_LOST else Reason.POD_FAILED
                raise Permanent(reason, message, hint="check that the image is for the nodes' architecture")
            problem = start_problem(status) if status is not None else None
            if problem is None:
                if found is None and not problem_since:
                    what = f"the container of image {container.image!r} did not start in time"
                    raise Permanent(Reason.POD_FAILED, what, hint="see its events: kubectl describe pod")
                problem_since = 0.0
                continue
            problem_since = problem_since or time.monotonic()
            if problem.lasting or time.monotonic() - problem_since > self._settings.pull_seconds:
                hint = "check the image's name and the registry's credentials (image_pull_secrets in [kubernetes])"
                what = f"image {container.image!r} cannot be used"
                raise Permanent(problem.reason, what, cause=problem.message, hint=hint)
            if problem.message != said:
                said = problem.message
                self._notify(container.pod_id, pod.job_id, f"image {container.image}: {said}")


def _workers(pod: PodStatus, image: str) -> list[ContainerStatus]:
    return [
        one for one in pod.containers if one.container.role is ContainerRole.WORKER and one.container.image == image
    ]


def _no_builder(image: str) -> Permanent:
    return Permanent(
        Reason.POD_FAILED,
        f"image {image} builds images as root, which the pod of this job does not admit",
        hint="name what the pipeline pushes in its YAML, such as `images: [team/app]`, and run it again:"
        " docs/image-builds.md",
    )


def _lost(pod_id: str, cause: str = "") -> Permanent:
    what = f"pod {pod_id} has ended or was removed"
    return Permanent(Reason.POD_LOST, what, cause=cause, hint="rerun the job: danube rerun JOB")
