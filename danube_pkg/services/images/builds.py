"""Image builds: what a builder's step gets beside its own words, and what is recorded of the images that it pushes.

A build runs as any step does. It differs in three points: its destinations are checked before it starts, its container
has a credential of the server's own registry, and the digest in its output is compared with the registry's
before the image becomes an output of the job.
"""

import asyncio
from collections.abc import Callable, Sequence

from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.builders import (
    cache_of,
    completed,
    digest_in,
    is_builder,
    targets_of,
)
from danube_pkg.core.images.pushed import (
    MAX_PUSHED_IMAGES,
    AttestationStatus,
    OwnRegistry,
    PushedImage,
    PushedImageStore,
)
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.runtimes.pods import ContainerFile
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.images.job_logins import JobLogins
from danube_pkg.services.images.registry_tokens import RegistryTokens


class BuildSettings(Record):
    """host: the server's own registry, "" without one. default_host: of images without a host. specs: the configured
    registries."""

    host: str
    default_host: str
    specs: Callable[[], Sequence[RegistrySpec]]


class ImageBuilds:
    """tokens: None where the registry takes no tokens of this server. registry: None without a registry."""

    def __init__(
        self,
        settings: BuildSettings,
        store: PushedImageStore,
        clock: Clock,
        logins: JobLogins,
        tokens: RegistryTokens | None,
        registry: OwnRegistry | None,
    ) -> None:
        self.added = asyncio.Event()
        """Set when an image was recorded."""

        self._settings = settings
        self._store = store
        self._clock = clock
        self._logins = logins
        self._tokens = tokens
        self._registry = registry
        self.pushes = Tally()
        """Images that the registry confirmed, by their names without tags."""

    def is_build(self, image: str) -> bool:
        """Whether steps in that image build images."""
        return is_builder(image, self._settings.default_host)

    def prepared(self, job: Job, request: StepRequest) -> StepRequest:
        """A builder's request with what its command needs here. The same request gives the same result. Raises
        Permanent for a push that the job may not make."""
        host, default_host = self._settings.host, self._settings.default_host
        names = [one.repository for one in targets_of(request.command, host, default_host)]
        cache = cache_of(request.command, host, default_host)
        names += [cache] if cache and not job.trigger.is_untrusted else []
        is_rebuild = job.trigger.rebuild is not None
        if self._tokens is not None and not is_rebuild:
            for name in names:
                self._tokens.check_push(job, name)
        insecure = [one.host for one in self._settings.specs() if one.insecure]
        untrusted = job.trigger.is_untrusted
        command = completed(request.command, insecure, untrusted=untrusted, is_rebuild=is_rebuild)
        return replace(request, command=command)

    def password(self, job: Job) -> str:
        """The credential of a job's builds; "" where the registry takes no tokens of this server."""
        return self._logins.password(job)

    def files(self, job: Job) -> Sequence[ContainerFile]:
        """The files of a builder's container."""
        return self._logins.builder_files(job)

    async def list_pushed(self, job_id: str) -> Sequence[PushedImage]:
        """The recorded images of a job, by name."""
        return await self._store.list_pushed(job_id)

    async def pushed_name(self, job: Job, name: str) -> str:
        """The recorded name of an image that the job has pushed; "" where it has pushed none of that name. name: with
        or without its tag."""
        pushed = {one.name for one in await self._store.list_pushed(job.id)} if name else set()
        return next((one for one in (name, f"{name}:latest") if one in pushed), "")

    async def record(self, job: Job, request: StepRequest, output: bytes) -> Sequence[PushedImage]:
        """Record what a successful build has pushed to the server's own registry, once the registry confirms it. May be
        repeated. A rebuild's image is recorded as it was built. Raises Permanent for an image that the registry does
        not have, Unavailable."""
        found: list[PushedImage] = []
        host, default_host = self._settings.host, self._settings.default_host
        is_rebuild = job.trigger.rebuild is not None
        targets = targets_of(request.command, host, default_host, with_unpushed=is_rebuild)
        said = digest_in(output)
        if not said or self._registry is None:
            return found
        for target in targets:
            name = f"{self._settings.host}/{target.repository}:{target.tag}"
            digest = said if is_rebuild else await self._registry.digest_of(target.repository, target.tag)
            if digest != said:
                raise Permanent(
                    "image-not-pushed",
                    f"the registry does not have {name} as step {request.sequence} has built it",
                    cause=f"the build has the digest {said}, the registry {digest or 'no such tag'}",
                    hint="does another job push the same tag? Give each its own, such as ctx.commit_sha",
                )
            found.append(PushedImage(job.id, name, digest, request.sequence, self._clock.now()))
        known = {one.name for one in await self._store.list_pushed(job.id)}
        if len(known | {one.name for one in found}) > MAX_PUSHED_IMAGES:
            what = f"{job.label} pushes more than {MAX_PUSHED_IMAGES} images"
            raise Permanent("images-too-many", what, hint="build the others in a job of their own")
        for image in found:
            await self._store.add_pushed(image)
            if is_rebuild:
                unpushed = AttestationStatus.UNATTESTED, "a rebuild pushes nothing"
                await self._store.set_attestation(job.id, image.name, *unpushed)
            elif image.name not in known:
                self.pushes.count(image.name.rpartition(":")[0])
        self.added.set()
        return found
