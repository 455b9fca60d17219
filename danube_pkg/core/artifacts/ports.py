"""The port for the records of artifacts. Their bytes are blobs: `core.blobs.ports`."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.artifacts.artifact import Artifact


class ArtifactStore(Protocol):
    """The records of artifacts, by job and name."""

    async def add_artifact(self, artifact: Artifact) -> None:
        """Idempotent by (job, name) if the hash is the same. Raises Conflict for another hash."""
        ...

    async def list_artifacts(self, job_id: str) -> Sequence[Artifact]: ...
    async def jobs_with(self, name: str, job_ids: Sequence[str]) -> frozenset[str]:
        """Those of the jobs that have an artifact of that name."""
        ...

    async def load_artifact(self, job_id: str, name: str) -> Artifact | None: ...
