"""The protocols about images, as `core/store.py` has the others: what services and runtimes expect of who implements them."""

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


class LayerFile(Protocol):
    """A layer that is being received. Its methods block for the disk: call them in a thread, one after the other."""

    @property
    def size(self) -> int:
        """The bytes that there will be."""
        ...

    @property
    def written(self) -> int:
        """The bytes that are there; a connection that broke goes on from here."""
        ...

    def write(self, data: bytes) -> None: ...
    def restart(self) -> None: ...

    def check(self) -> None:
        """All is there: whether it is what was asked for, by size and digest. Raises ImageUnavailable."""
        ...

    def keep(self) -> Path:
        """Check it and give it its name."""
        ...


class RegistryAccess(Protocol):
    """How registries are reached and with what; asked anew for each request, since the configuration changes."""

    def specs(self) -> Sequence[RegistrySpec]: ...
    async def credentials(self, host: str) -> RegistryCredentials | None: ...


class RegistryLogins(Protocol):
    """Credentials that people have left on this machine for other tools."""

    async def credentials(self, host: str) -> RegistryCredentials | None: ...


class Registry(Protocol):
    """Where images come from. Tries again by itself; raises ImageUnavailable when that does not help.

    `digest` with `single_try` tries once and shortly, and raises Unavailable where another time may be better.
    """

    async def digest(self, reference: ImageReference, *, single_try: bool = False) -> str: ...
    async def manifest(self, reference: ImageReference, digest: str) -> tuple[bytes, str]: ...
    async def document(self, reference: ImageReference, digest: str) -> bytes: ...
    async def layer(self, reference: ImageReference, digest: str, file: LayerFile) -> None: ...


class ImageStore(Protocol):
    """Images on this machine, by content. Several processes may use one store; what is half made is never seen.

    `layer` and `receive_layer` are for layers as registries have them. `unpack` makes a root file system of layers as they
    arrive, the lowest first, and `remember` gives it a name. `hold` keeps a root for a pod until the pod's directory is gone;
    it returns None where the root was removed since it was found. `read_file` gives the beginning of a file of the image, links
    resolved within it, b"" where there is none. `open` comes first, may be repeated, and raises Permanent for a place that
    cannot be used; it, `list`, `remove` and `make_room` block for the disk.
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


class Images(Protocol):
    """Images for a runtime that unpacks them itself. Any number of callers may want the same image: it is pulled once.

    The one port that an adapter calls and a service implements. Pulling is a service, because it combines two adapters
    (registry and store) and serves jobs and `danube image` alike. The runtime calls it, and not the engine, because only
    the runtime knows when a pod needs an image and until when; a runtime whose nodes pull images never does. The adapter
    imports the core alone, and `bootstrap/runtime.py` passes it the service.

    `ensure` returns when the image is here, with news for people on the way; cancelled, it stops pulling if nobody else waits.
    Raises ImageUnavailable. `hold` and `read_file` as in `ImageStore`.
    """

    async def ensure(self, name: str, tell: Callable[[str], None]) -> Image: ...
    def hold(self, image: Image, pod: Path) -> Path | None: ...
    def read_file(self, image: Image, path: str) -> bytes: ...
