"""Removes images from the registry that danube.toml names, by age, count and size (`core/retention/registry.py`).

Every read records which manifests there are, since a registry lists none without a tag: what loses its tag later is
known from then on. An index is removed before what belongs to it, so that none is ever without its manifests.
"""

from collections.abc import Callable, Collection, Sequence

from danube_pkg.core.errors import Permanent, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.retention.ports import ImageRegistry, RegistryManifest, SeenManifests
from danube_pkg.core.retention.registry import ImagePolicy, ImageRemoval, StoredManifest, plan_images
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog

_log = EventLog("danube.retention")

NamedImages = Callable[[], Collection[tuple[str, str]]]
"""(repository, tag or digest) in the registry that pipelines name."""


class RegistryImages:
    """The images of one registry. named: those that pipelines name now; pipelines: their names."""

    def __init__(
        self,
        registry: ImageRegistry,
        seen: SeenManifests,
        clock: Clock,
        policy: Callable[[], ImagePolicy],
        named: NamedImages,
        pipelines: Callable[[], Collection[str]],
    ) -> None:
        self._registry = registry
        self._seen = seen
        self._clock = clock
        self._policy = policy
        self._named = named
        self._pipelines = pipelines
        self._problem: Permanent | Retryable | None = None
        self._removed = 0
        """By the last run that removed something, in this process."""

    async def plan(self) -> Sequence[ImageRemoval]:
        """What a run would remove now. Raises Unavailable, Permanent."""
        found = {name: await self._manifests(name) for name in await self._registry.repositories()}
        return plan_images(found, self._policy(), self._named(), self._pipelines(), self._clock.now())

    async def remove(self) -> Sequence[ImageRemoval]:
        """Remove what is due, and return it. What the registry refuses is a condition, and left to the next run."""
        removed = []
        try:
            for one in await self.plan():
                await self._registry.delete(one.repository, one.digest)
                await self._seen.forget(one.repository, one.digest)
                removed.append(one)
                _log.info("image-removed", repository=one.repository, digest=one.digest, tags=one.tags, why=one.why)
        except (Permanent, Retryable) as error:
            self._problem = error
            _log.warning("images-not-removed", cause=str(error), hint=error.hint)
        else:
            self._problem = None
        self._removed = len(removed)
        return removed

    async def conditions(self) -> Sequence[Condition]:
        """A registry that refuses, and space that only its own garbage collection frees."""
        found = []
        if self._problem is not None:
            found.append(Condition("registry-not-cleaned", str(self._problem), self._problem.hint))
        if self._removed:
            what = f"{self._removed} images were removed from registry {self._registry.host}, which frees their space later"
            hint = "with the registry stopped or read-only: docker-registry garbage-collect /etc/docker/registry/config.yml"
            found.append(Condition("registry-garbage", what, hint))
        return found

    async def _manifests(self, repository: str) -> Sequence[StoredManifest]:
        """All manifests of a repository that can be known: with a tag, in an index, or seen before."""
        tags: dict[str, list[str]] = {}
        known: dict[str, RegistryManifest] = {}
        for tag in await self._registry.tags(repository):
            found = await self._registry.manifest(repository, tag)
            if found is not None:
                tags.setdefault(found.digest, []).append(tag)
                known[found.digest] = found
        await self._add_children(repository, known)
        times = await self._seen.see(repository, known.keys(), self._clock.now())
        for digest in times.keys() - known.keys():
            found = await self._registry.manifest(repository, digest)
            if found is None:
                await self._seen.forget(repository, digest)
            else:
                known[digest] = found
        return [
            StoredManifest(digest, tuple(sorted(tags.get(digest, ()))), times[digest], one.children, one.blobs)
            for digest, one in known.items()
        ]

    async def _add_children(self, repository: str, known: dict[str, RegistryManifest]) -> None:
        """The manifests of indexes; an index may name a further one."""
        waiting = [child for one in known.values() for child in one.children if child not in known]
        while waiting:
            digest = waiting.pop()
            found = await self._registry.manifest(repository, digest) if digest not in known else None
            if found is not None:
                known[digest] = found
                waiting += [child for child in found.children if child not in known]
