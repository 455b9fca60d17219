"""The image store: images on disk, addressed by content. Several processes may use one directory.

    layers/<digest>          compressed layers, cached for other images that share them
    new/                     incomplete files and directories, each locked by the process that writes it
    <owners>/names/*.json    the image of a name: digests, configuration, root file system; FILE is the name's hash
    <owners>/roots/<chain>/  an unpacked root file system `fs`, and in `pods` a link to each pod that uses it

Complete content gets its name by one rename; incomplete content without a lock is removed by the next process that
opens the store. A root file system is in use while the directory of a pod that holds it exists, so pods need not
release it.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from danube_pkg.adapters.images.blobs import BlobFile
from danube_pkg.adapters.images.packed import LayerBroken
from danube_pkg.adapters.images.tree import DirectoryTree
from danube_pkg.adapters.images.unpacker import Unpacker, unpacking
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.reference import (
    Image,
    ImageBounds,
    ImageConfig,
    PackedLayer,
    StoredImage,
)
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import Record, to_builtins
from danube_pkg.kit.tasks import TaskOwner
from danube_pkg.kit.trees import remove_tree

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNSAFE = "unsafe"
"""A file beside a root that is not synced yet. It has the boot id: after a power failure the root may be incomplete."""

MAX_READ_BYTES = 1024**2
"""Limit for a file that is read from an image; its account files have a few KiB."""

PULL_SECONDS = 600.0
"""A layer that was used within this time may belong to a pull in progress."""


class Owners(Record):
    """How the owners of image files are stored.

    directory: subdirectory of the roots with such owners. keep: files have the owners of the image, as ids of the user
    namespace that `command_prefix` enters. command_prefix: words before a command that needs the rights of all these
    owners; empty if this process has them.
    """

    directory: str
    keep: bool
    command_prefix: tuple[str, ...] = ()


IMAGE_OWNERS = Owners("owners", keep=True)
SINGLE_OWNER = Owners("one-owner", keep=False)


class ImageDirectory:
    """`core.images.ports.ImageStore` below one directory. Call `open` first."""

    def __init__(
        self,
        directory: Path,
        bounds: ImageBounds,
        owners: Owners,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        self.bounds = bounds
        self._owners = owners
        self._layers = directory / "layers"
        self._new = directory / "new"
        base = directory / owners.directory
        self._names = base / "names"
        self._roots = base / "roots"
        self._lock_file = directory / "lock"
        self._owner = TaskOwner(on_failure)
        self._directory = directory
        self._is_open = False

    def open(self) -> None:
        """Creates the directories and removes leftovers of killed processes. Blocks for the disk. Raises Permanent."""
        if self._is_open:
            return
        try:
            for path in (self._directory, self._names, self._layers, self._roots, self._new):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._remove_leftovers()
        except OSError as error:
            raise Permanent(
                "image-store-unusable",
                f"the image store {self._directory} cannot be used",
                cause=error.strerror or str(error),
                hint="use another data directory, or make Danube's user the owner of this one",
            ) from error
        self._is_open = True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock against a pod that gets a root while another process removes it; for a few system calls."""
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _remove_leftovers(self) -> None:
        """Removes incomplete content of killed processes, and roots that a power failure may have left incomplete."""
        for path in self._roots.iterdir():
            if not self._is_whole(path):
                with self._locked(), contextlib.suppress(FileNotFoundError):
                    path.rename(self._fresh())
        for path in self._new.iterdir():
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._remove(path)
                finally:
                    os.close(descriptor)

    def _fresh(self) -> Path:
        return self._new / secrets.token_hex(8)

    # --- names

    def _name_file(self, name: str) -> Path:
        return self._names / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def find(self, name: str) -> Image | None:
        """The image of a full name, if it is stored and complete."""
        image = _read(self._name_file(name))
        return image if image is not None and self.has_root(image.chain) else None

    def remember(self, image: Image) -> None:
        """Stores the image under its name; its root must be in the store."""
        write_atomically(self._name_file(image.name), json.dumps(to_builtins(image)).encode())

    def list(self) -> Sequence[StoredImage]:
        """The images, sorted by name."""
        found = []
        for file in self._names.iterdir():
            image = _read(file)
            if image is not None and self.has_root(image.chain):
                root = self._root(image.chain)
                found.append(StoredImage(image, root.stat().st_mtime, len(self._pods(root))))
        return sorted(found, key=lambda one: one.image.name)

    def remove(self, name: str) -> bool:
        """Removes a name, and its root unless another name or a pod uses it. Returns whether the name existed."""
        file = self._name_file(name)
        image = _read(file)
        file.unlink(missing_ok=True)
        if image is None:
            return False
        if not any(other.image.chain == image.chain for other in self.list()):
            self._remove_root(self._root(image.chain))
        return True

    # --- layers

    def _layer_file(self, digest: str) -> Path:
        return self._layers / digest.partition(":")[2]

    def layer(self, digest: str, size: int) -> Path | None:
        """A cached layer, marked as used; None if there is none.

        One of another size was cut by a power failure and is removed.
        """
        path = self._layer_file(digest)
        try:
            if path.stat().st_size != size:
                path.unlink()
                return None
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def forget_layer(self, digest: str) -> None:
        """Removes a damaged layer."""
        self._layer_file(digest).unlink(missing_ok=True)

    @asynccontextmanager
    async def receive_layer(self, digest: str, size: int) -> AsyncIterator[BlobFile]:
        """A file for a layer's bytes, which is removed after the block unless it was kept."""
        await asyncio.to_thread(self.make_room, size)
        file = BlobFile(self._fresh(), self._layer_file(digest), digest, size)
        try:
            yield file
        finally:
            file.close()

    # --- roots

    def _root(self, chain: str) -> Path:
        return self._roots / chain.partition(":")[2]

    def _is_whole(self, root: Path) -> bool:
        try:
            return (root / _UNSAFE).read_bytes() == _BOOT.read_bytes()
        except FileNotFoundError:
            return (root / "fs").is_dir()

    def has_root(self, chain: str) -> bool:
        """Whether the root file system is stored and complete."""
        return self._is_whole(self._root(chain))

    async def unpack(self, name: str, chain: str, count: int, layers: AsyncIterator[PackedLayer]) -> int:
        """Creates a root file system from layers as they arrive; returns its size in bytes. Raises ImageUnavailable."""
        new = self._fresh()
        (new / "pods").mkdir(parents=True, mode=0o700)
        lock = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (new / "fs").mkdir()
        write_atomically(new / _UNSAFE, _BOOT.read_bytes())
        stack = contextlib.AsyncExitStack()
        stack.callback(os.close, lock)
        try:
            owners = self._owners
            work = unpacking(
                new / "fs",
                name,
                count,
                self.bounds,
                keep_owners=owners.keep,
                command_prefix=owners.command_prefix,
                keep_open=(lock,),
            )
            unpacker = await stack.enter_async_context(work)
            async for layer in layers:
                await unpacker.add(layer)
            await unpacker.finish()
        except BaseException:
            await stack.aclose()
            await asyncio.to_thread(self._remove, new)
            raise
        if self._give_name(new, chain):
            self._owner.start(f"sync {name}", self._wait_safe(unpacker, self._root(chain), stack))
        else:
            await stack.aclose()
            await asyncio.to_thread(self._remove, new)
        return unpacker.size_bytes

    def _give_name(self, new: Path, chain: str) -> bool:
        """Returns False if another process has created the same root meanwhile."""
        with self._locked():
            if self.has_root(chain):
                return False
            new.rename(self._root(chain))
            return True

    async def _wait_safe(self, unpacker: Unpacker, root: Path, stack: contextlib.AsyncExitStack) -> None:
        async with stack:
            await unpacker.wait_safe()
            (root / _UNSAFE).unlink(missing_ok=True)

    def hold(self, image: Image, pod: Path) -> Path | None:
        """The root file system, in use until the pod's directory is removed; None if the root was removed meanwhile."""
        root = self._root(image.chain)
        with self._locked():
            if not self.has_root(image.chain):
                return None
            link = root / "pods" / pod.name
            link.unlink(missing_ok=True)
            link.symlink_to(pod)
            os.utime(root)
        return root / "fs"

    def read_file(self, image: Image, path: str) -> bytes:
        """The beginning of a file in an image; b"" if there is no such regular file."""
        try:
            with DirectoryTree(self._root(image.chain) / "fs") as tree, tree.reading(path.encode()) as descriptor:
                return os.read(descriptor, MAX_READ_BYTES)
        except (OSError, LayerBroken):
            return b""

    def _pods(self, root: Path) -> Sequence[Path]:
        """The pods that use a root. Links to pods that no longer exist are removed."""
        used = []
        for link in (root / "pods").iterdir():
            if link.exists():
                used.append(link)
            else:
                link.unlink(missing_ok=True)
        return used

    def _remove_root(self, root: Path) -> bool:
        """Removes a root unless a pod uses it. Returns whether it was removed."""
        removed = self._fresh()
        with self._locked():
            if not (root / "pods").is_dir() or self._pods(root):
                return False
            root.rename(removed)
        self._remove(removed)
        return True

    # --- limits

    def make_room(self, wanted_bytes: int) -> None:
        """Removes layers and roots until `wanted_bytes` more fit below the limit; see `_remove_oldest`."""
        self._remove_oldest(lambda total: total + wanted_bytes <= self.bounds.store_bytes)

    def clean_up(self, is_enough: Callable[[], bool]) -> int:
        """Removes layers and roots until it is enough. Returns how many; see `_remove_oldest`."""
        return self._remove_oldest(lambda total: is_enough())

    def _remove_oldest(self, is_enough: Callable[[int], bool]) -> int:
        """Removes the least recently used layers and roots until it is enough, given the bytes that are left.

        A root that a pod uses or that was loaded from a file is kept, and so is a layer that a pull may use next.
        Returns how many were removed.
        """
        kept = {stored.image.chain for stored in self.list() if stored.image.loaded}
        sizes = {stored.image.chain.partition(":")[2]: stored.image.size_bytes for stored in self.list()}
        known: list[tuple[float, int, Path]] = []
        for path in (*self._layers.iterdir(), *self._roots.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                known.append((found.st_mtime, sizes.get(path.name, found.st_size), path))
        total, removed = sum(size for _, size, _ in known), 0
        for used_at, size, path in sorted(known):
            if is_enough(total):
                break
            if path.parent == self._layers:
                if used_at < time.time() - PULL_SECONDS:
                    path.unlink(missing_ok=True)
                    total, removed = total - size, removed + 1
            elif f"sha256:{path.name}" not in kept and self._remove_root(path):
                total, removed = total - size, removed + 1
        return removed

    def _remove(self, path: Path) -> None:
        if path.is_dir():
            remove_tree(path, self._owners.command_prefix)
        else:
            path.unlink()

    async def close(self) -> None:
        """Waits until unpacked roots are synced to the disk."""
        await self._owner.finish()


def _read(file: Path) -> Image | None:
    """A record; None if there is none, or if another version of Danube wrote it: then the image is pulled again."""
    try:
        data: dict[str, Any] = json.loads(file.read_bytes())
        config = data.pop("config")
        variables = tuple((name, value) for name, value in config.pop("environment"))
        return Image(**data, config=ImageConfig(environment=variables, **config))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
