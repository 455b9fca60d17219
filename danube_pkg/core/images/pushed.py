"""Images that jobs have pushed to the server's own registry: outputs of a job, as artifacts are."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record

MAX_PUSHED_IMAGES = 200
"""One job's; a build of every variant of an image is some dozens."""


class AttestationStatus(StrEnum):
    """Whether the registry has the signed statement about an image. PENDING: its job has not ended, or the registry
    could not be reached yet."""

    PENDING = "pending"
    ATTESTED = "attested"
    UNATTESTED = "unattested"


class PushedImage(Record):
    """name: host, repository and tag. digest: of the manifest, as the registry gave it. at: Unix seconds. attestation:
    whether the registry has its provenance; problem: why not, where it never will."""

    job_id: str
    name: str
    digest: str
    step: int
    at: float
    attestation: AttestationStatus = AttestationStatus.PENDING
    problem: str = ""


class DueImage(Record):
    """A pushed image whose provenance is not attached yet, with its job's status."""

    job_id: str
    name: str
    digest: str
    status: Status

    @property
    def repository(self) -> str:
        """Its path in the registry."""
        return self.name.partition("/")[2].rpartition(":")[0]


class PushedImageStore(Protocol):
    """The images of jobs. A tag that a job pushes again has the newer digest."""

    async def add_pushed(self, image: PushedImage) -> None: ...

    async def list_pushed(self, job_id: str) -> Sequence[PushedImage]:
        """By name."""
        ...

    async def list_due(self, limit: int) -> Sequence[DueImage]:
        """The oldest that are pending, those of ended jobs first."""
        ...

    async def set_attestation(self, job_id: str, name: str, status: AttestationStatus, problem: str) -> None: ...


class OwnRegistry(Protocol):
    """Reads the server's own registry. Raises Unavailable, Permanent."""

    async def digest_of(self, repository: str, tag: str) -> str:
        """The digest that a tag has now; "" where there is no such tag."""
        ...
