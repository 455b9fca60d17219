"""Images that jobs have pushed to the server's own registry: outputs of a job, as artifacts are."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.kit.records import Record

MAX_PUSHED_IMAGES = 200
"""One job's; a build of every variant of an image is some dozens."""


class PushedImage(Record):
    """name: host, repository and tag. digest: of the manifest, as the registry gave it. at: Unix seconds."""

    job_id: str
    name: str
    digest: str
    step: int
    at: float


class PushedImageStore(Protocol):
    """The images of jobs. A tag that a job pushes again has the newer digest."""

    async def add_pushed(self, image: PushedImage) -> None: ...

    async def list_pushed(self, job_id: str) -> Sequence[PushedImage]:
        """By name."""
        ...


class OwnRegistry(Protocol):
    """Reads the server's own registry. Raises Unavailable, Permanent."""

    async def digest_of(self, repository: str, tag: str) -> str:
        """The digest that a tag has now; "" where there is no such tag."""
        ...
