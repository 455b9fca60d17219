"""Artifacts: receives what a job keeps and records it once, with its hash; finds and reads it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence

from danube_pkg.core.artifacts.artifact import MAX_ARTIFACT_BYTES, MAX_NAME_LENGTH, Artifact, ArtifactBounds
from danube_pkg.core.artifacts.ports import ArtifactStore
from danube_pkg.core.blobs.ports import JobBlobs
from danube_pkg.core.errors import Conflict, Invalid, NotFound, TooLarge
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.clock import Clock

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@+-]{{0,{MAX_NAME_LENGTH - 1}}}")


class Artifacts:
    """The artifacts of all jobs: records in the store, bytes in `blobs`. bounds: of each job, as they are configured
    now."""

    def __init__(
        self,
        store: ArtifactStore,
        blobs: JobBlobs,
        clock: Clock,
        new_id: Callable[[], str],
        bounds: Callable[[], ArtifactBounds] = ArtifactBounds,
    ) -> None:
        self._bounds = bounds
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._new_id = new_id
        self._naming = asyncio.Lock()
        """Held while a blob gets its name and its record, so that both are always of the same upload."""

    async def receive(
        self,
        job: Job,
        name: str,
        file_name: str,
        chunks: AsyncIterator[bytes],
        check_wanted: Callable[[], None],
    ) -> Artifact:
        """Keeps a stream under a name. Repeating an upload with the same content returns the same artifact.

        check_wanted: raises if the job does not accept artifacts any more; called when the stream has been received.
        Raises Conflict for other content under that name or file name, which changes nothing; Invalid, TooLarge,
        StorageFull.
        """
        if not _NAME.fullmatch(name) or file_name not in (name, f"{name}.tar.gz"):
            raise Invalid(
                "artifact-name-invalid",
                f"{name!r} cannot name an artifact",
                cause=f"a name is 1 to {MAX_NAME_LENGTH} letters, digits and _.@+- and does not begin with a dot",
                hint='artifacts.upload("dist/", name="packages")',
            )
        bounds = self._bounds()
        _check_bounds(await self._store.list_artifacts(job.id), name, 0, bounds)
        limit_bytes = min(MAX_ARTIFACT_BYTES, bounds.total_bytes)
        async with self._blobs.receive(job.id, file_name, chunks, limit_bytes) as received, self._naming:
            check_wanted()
            known = await self._store.list_artifacts(job.id)
            _check_file_is_free(known, name, file_name)
            _check_bounds(known, name, received.size_bytes, bounds)
            if all(one.name != name for one in known):
                await received.keep()
            artifact = Artifact(
                self._new_id(), job.id, name, file_name, received.size_bytes, received.sha256, self._clock.now()
            )
            await self._store.add_artifact(artifact)
        return await self._store.load_artifact(job.id, name) or artifact

    async def list(self, job_id: str) -> Sequence[Artifact]:
        return await self._store.list_artifacts(job_id)

    async def find(self, job_id: str, name: str) -> Artifact:
        found = await self._store.load_artifact(job_id, name)
        if found is None:
            raise NotFound(
                "artifact-unknown", f"job {job_id} has no artifact {name!r}", hint=f"danube artifacts list {job_id}"
            )
        return found

    def has_bytes(self, artifact: Artifact) -> bool:
        """Whether the artifact's file still exists; an operator may have removed it."""
        return self._blobs.has(artifact.job_id, artifact.file_name)

    def read(self, artifact: Artifact, begin: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from offset `begin` up to `end`, in pieces."""
        return self._blobs.read(artifact.job_id, artifact.file_name, begin, end)


def _check_bounds(known: Sequence[Artifact], name: str, size_bytes: int, bounds: ArtifactBounds) -> None:
    """Raises TooLarge where a further artifact of that size is one too many. A repeated upload is none."""
    if any(one.name == name for one in known):
        return
    if len(known) >= bounds.count:
        raise TooLarge(
            "too-many-artifacts",
            f"artifact {name!r} cannot be kept: the job has {bounds.count} artifacts, the most that are allowed",
            hint="upload a directory as one artifact, or raise max_artifacts_per_job in config.yaml",
        )
    if sum(one.size_bytes for one in known) + size_bytes > bounds.total_bytes:
        raise TooLarge(
            "artifacts-too-large",
            f"artifact {name!r} cannot be kept: the job's artifacts have more than {bounds.total_bytes} bytes together",
            hint="upload less, or raise max_artifacts_gb_per_job in config.yaml",
        )


def _check_file_is_free(known: Sequence[Artifact], name: str, file_name: str) -> None:
    """A directory `x` and a file `x.tar.gz` would have the same file name."""
    other = next((one for one in known if one.file_name == file_name and one.name != name), None)
    if other is not None:
        raise Conflict(
            "artifact-file-taken",
            f"artifact {name!r} cannot be kept as {file_name}: artifact {other.name!r} of this job has that file name",
            hint="give one of them another name: artifacts.upload(PATH, name=NAME)",
        )
