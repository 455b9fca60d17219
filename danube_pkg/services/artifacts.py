"""Artifacts: what a job wants kept, stored with its hash and recorded once."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence

from danube_pkg.core.artifacts.artifact import MAX_ARTIFACT_BYTES, MAX_NAME_LENGTH, Artifact
from danube_pkg.core.artifacts.ports import ArtifactFiles, ArtifactStore
from danube_pkg.core.errors import Invalid, NotFound
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.clock import Clock

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@+-]{{0,{MAX_NAME_LENGTH - 1}}}")


class Artifacts:
    """Receives and finds them."""

    def __init__(self, store: ArtifactStore, files: ArtifactFiles, clock: Clock, new_id: Callable[[], str]) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._new_id = new_id
        self._naming = asyncio.Lock()
        """One at a time gives its bytes their name and its record: neither is ever another upload's."""

    async def receive(
        self,
        job: Job,
        name: str,
        file_name: str,
        chunks: AsyncIterator[bytes],
        check_wanted: Callable[[], None],
    ) -> Artifact:
        """Keep a stream under a name. A repeated upload of the same content is the same artifact; another content under that
        name is a Conflict and changes nothing. `check_wanted` raises when the job does not take artifacts any more; it is
        asked when all has arrived. Raises Invalid, TooLarge, StorageFull too."""
        if not _NAME.fullmatch(name) or file_name not in (name, f"{name}.tar.gz"):
            raise Invalid(
                "artifact-name-invalid",
                f"{name!r} cannot name an artifact",
                cause=f"a name is 1 to {MAX_NAME_LENGTH} letters, digits and _.@+- and does not begin with a dot",
                hint='artifacts.upload("dist/", name="packages")',
            )
        async with self._files.receive(job.id, file_name, chunks, MAX_ARTIFACT_BYTES) as received, self._naming:
            check_wanted()
            if await self._store.load_artifact(job.id, name) is None:
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
