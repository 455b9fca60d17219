"""Ports of retention: the jobs' rows and their files, a registry's images and what was seen of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from danube_pkg.core.retention.plan import FileKind, JobAge, JobFiles, Removal
from danube_pkg.kit.records import Record


class JobRetention(Record):
    """What retention has done with a job. kept_by: the user who keeps its files, "" for none. removed_at: by kind, Unix
    seconds."""

    kept_by: str
    removed_at: Mapping[FileKind, float]


class RetentionStore(Protocol):
    """Which jobs are kept, and whose files were removed."""

    async def job_ages(self, job_ids: Collection[str]) -> Mapping[str, JobAge]:
        """Those of the jobs that are stored."""
        ...

    async def record_removals(self, removals: Sequence[Removal], at: float) -> Sequence[Removal]:
        """Record the removals in one transaction, and return those that are still allowed: of closed jobs that are not
        kept. Idempotent. Files may be removed only after it."""
        ...

    async def keep(self, job_id: str, by: str, at: float) -> None:
        """Keep the job's files. Idempotent: the user of the first call stays named."""
        ...

    async def unkeep(self, job_id: str) -> None: ...

    async def retention_of(self, job_id: str) -> JobRetention: ...

    async def newest_time(self) -> float:
        """The newest time in the database, in Unix seconds; 0.0 in an empty one."""
        ...


class StoredFiles(Protocol):
    """The files of jobs on the disk."""

    async def list_files(self) -> Sequence[JobFiles]:
        """Every job that has files, by kind. Raises OSError."""
        ...

    async def remove(self, removals: Sequence[Removal]) -> Sequence[Removal]:
        """Remove these files, and return the removals that could not be finished; they are found again later."""
        ...


class RegistryManifest(Record):
    """A manifest as a registry has it. children: the digests of an index. blobs: sizes by digest, its own included."""

    digest: str
    children: tuple[str, ...]
    blobs: Mapping[str, int]


class ImageRegistry(Protocol):
    """A registry whose images can be listed and removed. All methods raise Unavailable, Permanent."""

    host: str

    async def repositories(self) -> Sequence[str]: ...

    async def tags(self, repository: str) -> Sequence[str]: ...

    async def manifest(self, repository: str, reference: str) -> RegistryManifest | None:
        """By tag or digest; None where there is none."""
        ...

    async def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest with all of its tags. Idempotent."""
        ...


class SeenManifests(Protocol):
    """Which manifests of a registry were seen, and when first: a registry lists no manifest without a tag."""

    async def see(self, repository: str, digests: Collection[str], at: float) -> Mapping[str, float]:
        """Record these as seen, and return when each known manifest of the repository was seen first, in Unix
        seconds."""
        ...

    async def forget(self, repository: str, digest: str) -> None:
        """The registry does not have it any more. Idempotent."""
        ...
