"""Ports of images: registries, the image store, and images for runtimes."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from danube_pkg.core.images.reference import (
    Image,
    ImageReference,
    PackedLayer,
    StoredImage,
)
from danube_pkg.core.images.registries import RegistryCredentials, RegistrySpec
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.guard import Guard
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import Tally


class LayerFile(Protocol):
    """A layer that is being downloaded. Its methods block for the disk: call them in a thread, one at a time."""

    @property
    def size(self) -> int:
        """The expected bytes."""
        ...

    @property
    def written(self) -> int:
        """The bytes so far; a broken download is resumed at this offset."""
        ...

    def write(self, data: bytes) -> None: ...
    def restart(self) -> None: ...

    def check(self) -> None:
        """Checks size and digest of the complete layer. Raises ImageUnavailable."""
        ...

    def keep(self) -> Path:
        """Checks it and gives it its final name."""
        ...


class RegistryAccess(Protocol):
    """Configuration and credentials of registries, read for each request, since they can change."""

    def specs(self) -> Sequence[RegistrySpec]: ...
    async def credentials(self, host: str) -> RegistryCredentials | None: ...


class RegistryLogins(Protocol):
    """Credentials that users have stored on this machine with other tools."""

    async def credentials(self, host: str) -> RegistryCredentials | None: ...


class RegistryGuard(Guard, Protocol):
    """Decides which servers a pull contacts. hides_causes: messages must not say why one was not reached."""

    @property
    def hides_causes(self) -> bool: ...


class RegistryConnector(Protocol):
    """Opens clients of registries."""

    def open(self, guard: RegistryGuard | None) -> "AbstractAsyncContextManager[Registry]":
        """A client for one pull, with connections of its own. guard: None where everything may be contacted."""
        ...


class Registry(Protocol):
    """Downloads from registries, with retries. Raises ImageUnavailable.

    `digest` with `single_try` makes one request with a short deadline, and raises Unavailable if a later one may
    succeed.
    """

    async def digest(self, reference: ImageReference, *, single_try: bool = False) -> str: ...
    async def manifest(self, reference: ImageReference, digest: str) -> tuple[bytes, str]: ...
    async def document(self, reference: ImageReference, digest: str) -> bytes: ...
    async def layer(self, reference: ImageReference, digest: str, file: LayerFile) -> None: ...


class ImageStore(Protocol):
    """Images on this machine, by content. Several processes may use one store; incomplete content is never visible.

    `open` must be called first, may be repeated, and raises Permanent for a directory that cannot be used. `layer` and
    `receive_layer` are for compressed layers. `unpack` creates a root file system from layers as they arrive, the
    lowest first, and `remember` gives it a name. `hold` keeps a root until the pod's directory is removed; it returns
    None if the root was removed since `find`. `read_file` returns the beginning of a file in the image, with links
    resolved within it; b"" if there is none. `clean_up` removes what no pod uses, the least recently used first, until
    it is enough, and returns how much it removed. `open`, `list`, `remove`, `make_room` and `clean_up` block for the
    disk.
    """

    def open(self) -> None: ...

    def find(self, name: str) -> Image | None: ...
    def remember(self, image: Image) -> None: ...
    def list(self) -> Sequence[StoredImage]: ...
    def remove(self, name: str) -> bool: ...
    def layer(self, digest: str, size: int) -> Path | None: ...
    def forget_layer(self, digest: str) -> None: ...
    def receive_layer(self, digest: str, size: int) -> AbstractAsyncContextManager[LayerFile]: ...
    def has_root(self, chain: str) -> bool: ...
    async def unpack(self, name: str, chain: str, count: int, layers: AsyncIterator[PackedLayer]) -> int: ...
    def hold(self, image: Image, pod: Path) -> Path | None: ...
    def read_file(self, image: Image, path: str) -> bytes: ...
    def make_room(self, wanted_bytes: int) -> None: ...
    def clean_up(self, is_enough: Callable[[], bool]) -> int: ...


class ImageRequester(Record):
    """For whom an image is pulled: a job with its network, or the caller of a command (Network.HOST, without a job)."""

    job_id: str
    network: Network
    allowlist: tuple[str, ...]


class Images(Protocol):
    """Images for a runtime that unpacks them itself. An image that several callers want is pulled once.

    The one port that an adapter calls and a service implements. Pulling is a service, because it combines two adapters
    (registry and store) and serves jobs and `danube image` alike. The runtime calls it, and not the engine, because
    only the runtime knows when a pod needs an image and until when; a runtime whose nodes pull images never does. The
    adapter imports the core alone, and `bootstrap/runtime.py` passes it the service.

    `ensure` returns when the image is in the store, and reports progress as lines for users. If it is cancelled, the
    pull stops unless another caller waits for it. Raises ImageUnavailable, also for a registry that is neither
    configured nor in the requester's allowlist. `hold`, `read_file` and `clean_up` as in `ImageStore`.
    """

    @property
    def pulled(self) -> Tally:
        """Pulls from registries, by the image's name."""
        ...

    async def ensure(self, name: str, report: Callable[[str], None], requester: ImageRequester) -> Image: ...
    def hold(self, image: Image, pod: Path) -> Path | None: ...
    def read_file(self, image: Image, path: str) -> bytes: ...
    async def clean_up(self, is_enough: Callable[[], bool]) -> int: ...
