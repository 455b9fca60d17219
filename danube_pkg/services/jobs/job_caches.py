"""Restores and saves the caches of jobs. Whatever fails is a line in the job's log and a miss, and never fails the
job."""

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

from danube_pkg.core.caches.cache import CacheRequest, checked_request, family_of
from danube_pkg.core.caches.outcome import CacheOutcome, CacheResult
from danube_pkg.core.errors import Conflict, Permanent, PlatformError
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import until
from danube_pkg.services.caches import Caches, FoundCache
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.cache_transfer import packed, unpack
from danube_pkg.services.jobs.default_branches import DefaultBranches
from danube_pkg.services.jobs.job_text import JobText
from danube_pkg.services.jobs.log_lines import write_cache
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.waits import Waits

_log = EventLog("danube.caches")


class _Place(Record):
    """Where a cache is restored and saved. family: see `family_of`."""

    container: Container
    image: str
    family: str


class JobCaches:
    """For all jobs. The calls of a job are authenticated before."""

    def __init__(
        self,
        ports: EnginePorts,
        resources: JobResources,
        waits: Waits,
        builds: ImageBuilds,
        caches: Caches,
        branches: DefaultBranches,
    ) -> None:
        self._ports = ports
        self._resources = resources
        self._waits = waits
        self._builds = builds
        self._caches = caches
        self._branches = branches

    async def restore(self, active: ActiveJob, request: CacheRequest) -> CacheResult:
        """Raises Conflict for a job that is ending, Invalid for a request that no cache can have."""
        request = await self._checked(active, request)
        active.restores_begun += 1
        try:
            return await self._guarded(active, request, "restored", partial(self._restore, active, request))
        finally:
            active.restores_ended += 1

    async def save(self, active: ActiveJob, request: CacheRequest) -> CacheResult:
        """Raises as `restore`."""
        request = await self._checked(active, request)
        return await self._guarded(active, request, "stored", partial(self._save, active, request))

    async def withhold(self, job: Job) -> None:
        """The job gets something secret."""
        await self._caches.withhold(job)

    # --- parts

    async def _checked(self, active: ActiveJob, request: CacheRequest) -> CacheRequest:
        _check_running(active)
        checked = checked_request(request)
        text = JobText(await self._resources.log(active))
        what = f"the name, the key, a path or the image of cache {request.sequence}"
        text.refuse_secret(
            what, " ".join((request.name, request.key, request.image, *request.fallback, *request.paths))
        )
        return checked

    async def _guarded(
        self, active: ActiveJob, request: CacheRequest, done: str, work: Callable[[], Awaitable[CacheResult]]
    ) -> CacheResult:
        """The result of `work`, or a miss for one that failed. done: for the line."""
        if not active.job.settings.cache:
            await self._note(active, request, done, "off for this pipeline (cache: off)")
            return CacheResult(CacheOutcome.OFF)

        async def working() -> CacheResult | PlatformError | OSError:
            try:
                return await work()
            except (PlatformError, OSError) as error:
                return error

        ending = active.wait_until(lambda job: job.phase is not Phase.RUNNING or job.is_ending)
        result = await until(ending, working(), name=f"cache {active.job.id}")
        if isinstance(result, CacheResult):
            return result
        _check_running(active)
        _log.warning("cache-failed", job=active.job.id, name=request.name, cause=str(result))
        await self._note(active, request, done, f"not {done}: {result}")
        return CacheResult(CacheOutcome.MISS)

    async def _restore(self, active: ActiveJob, request: CacheRequest) -> CacheResult:
        job, place = active.job, await self._place(active, request)
        found = await self._caches.find(job, request, place.family, partial(self._branches.of, job))
        if found is None:
            await self._note(active, request, "restored", f"nothing is stored for key {request.key}")
            return CacheResult(CacheOutcome.MISS)
        await self._unpack(active, request, place, found)
        entry = found.entry
        which, why = ("key", "") if found.exact else ("the older key", f", for {request.key}")
        text = f"restored {which} {entry.key} ({entry.size_bytes} bytes of job {entry.job_id}){why}"
        await self._note(active, request, "restored", text)
        outcome = CacheOutcome.HIT if found.exact else CacheOutcome.FALLBACK
        return CacheResult(outcome, entry.key, entry.size_bytes)

    async def _unpack(self, active: ActiveJob, request: CacheRequest, place: _Place, found: FoundCache) -> None:
        room = active.job.settings.workspace_size_gb << 30
        if found.entry.size_bytes > room:
            raise Permanent(
                "cache-too-large",
                f"its {found.entry.size_bytes} bytes are more than the pod may write",
                hint="raise workspace_size_gb",
            )
        chunks = await self._caches.use(active.job, request, found)
        try:
            async with aclosing(chunks):
                await unpack(self._ports.runtime, place.container, request.paths, chunks)
        except Permanent as error:
            if error.reference == "cache-damaged":
                await self._caches.drop(found.entry)
            raise

    async def _save(self, active: ActiveJob, request: CacheRequest) -> CacheResult:
        job, place = active.job, await self._place(active, request)
        if await self._caches.is_known(job, request, place.family):
            return CacheResult(CacheOutcome.KNOWN, request.key)
        chunks = packed(self._ports.runtime, place.container, request.paths)
        async with aclosing(chunks):
            check_wanted = partial(_check_running, active)
            entry = await self._caches.keep(job, request, place.family, place.image, chunks, check_wanted)
        if entry is None:
            return CacheResult(CacheOutcome.KNOWN, request.key)
        await self._note(active, request, "stored", f"stored {entry.size_bytes} bytes, key {entry.key}")
        return CacheResult(CacheOutcome.STORED, entry.key, entry.size_bytes)

    async def _place(self, active: ActiveJob, request: CacheRequest) -> _Place:
        """Raises Permanent where no cache can be identified."""
        runtime, image = self._ports.runtime, request.image or active.job.settings.image
        if self._builds.is_build(image):
            raise Permanent(
                "cache-of-builder", "the image builds images", hint="step.build_image keeps layers: cache=True"
            )
        wait = partial(runtime.ensure_container, active.job.pod_id, image)
        what = f"a container of image {image!r}"
        container = await self._waits.until_done(active, what, wait, Reason.IMAGE_PULL_FAILED)
        digest = await runtime.image_digest(container)
        if image != HOST_IMAGE and not digest:
            raise Permanent(
                "cache-image-unknown",
                f"the digest of image {image!r} is not known",
                hint='name it by its digest: image="NAME@sha256:…"',
            )
        return _Place(container, image, family_of(active.job, request, image, digest))

    async def _note(self, active: ActiveJob, request: CacheRequest, done: str, text: str) -> None:
        """One line for each call; a log that cannot be written does not fail the cache."""
        with contextlib.suppress(PlatformError):
            write_cache(await self._resources.log(active), request.sequence, request.name, done, text)


def _check_running(active: ActiveJob) -> None:
    if active.job.phase is not Phase.RUNNING or active.job.is_ending:
        raise Conflict("job-ending", f"caches are closed: {active.job.label} is ending", hint="danube rerun JOB")
