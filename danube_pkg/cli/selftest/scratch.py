"""Opens and closes what a self-test needs: a scratch directory, a disk, a network and a server of its own."""

import asyncio
import contextlib
import secrets as randomness
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from danube_pkg.bootstrap.run import remove_left_pods
from danube_pkg.cli.selftest.own_network import OwnNetwork, make_repository
from danube_pkg.cli.selftest.scratch_disk import DiskNotMade, ScratchDisk, make_disk
from danube_pkg.cli.selftest.scratch_server import ScratchServer
from danube_pkg.cli.selftest.workload import JobKind, repository_files
from danube_pkg.kit.records import Mutable
from danube_pkg.kit.trees import remove_tree

SAVED = ("danube.db", "danube.db-wal", "logs")
"""What is kept of a data directory after a broken promise, beside the server's log."""


class Scratch(Mutable):
    """What is open. directory: has all of it. disk: None where this machine gives none, or none is wanted. no_disk:
    why. secret: a value that jobs read and print. keep: whether the directory stays when the block is left."""

    directory: Path
    server: ScratchServer
    network: OwnNetwork
    kinds: Sequence[JobKind]
    disk: ScratchDisk | None = None
    no_disk: str = ""
    secret: str = ""
    keep: bool = True


@contextmanager
def open_scratch(below: Path, *, with_disk: bool) -> Iterator[Scratch]:
    """Everything but the configuration and the server's process. Nothing of it is left when the block is left, unless
    `keep` says so or an error ends it."""
    directory = Path(tempfile.mkdtemp(prefix="danube-selftest-", dir=below))
    with contextlib.ExitStack() as stack:
        disk, no_disk = _disk(directory) if with_disk else (None, "")
        data = (disk.mount_point if disk is not None else directory) / "data"
        make_repository(directory / "application", repository_files())
        network = OwnNetwork(directory / "application")
        server = ScratchServer(directory, data)
        scratch = Scratch(directory, server, network, (), disk, no_disk, randomness.token_urlsafe(24))
        stack.callback(_close, scratch)
        try:
            yield scratch
        except KeyboardInterrupt:
            scratch.keep = False  # the user does not want it
            raise


def _disk(directory: Path) -> tuple[ScratchDisk | None, str]:
    try:
        return make_disk(directory), ""
    except DiskNotMade as error:
        return None, f"no disk was filled: {error}"


def _close(scratch: Scratch) -> None:
    """The server first, then what is left of its pods, then what they used."""
    data = scratch.server.data
    scratch.server.stop()
    scratch.network.close()
    if (data / "pods").is_dir() and any((data / "pods").iterdir()):
        asyncio.run(remove_left_pods(data))
    if scratch.keep and scratch.disk is not None:
        _save(data, scratch.directory / "data")
    if scratch.disk is not None:
        scratch.disk.close()
    if not scratch.keep:
        remove_tree(scratch.directory)


def _save(data: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for name in SAVED:
        if (data / name).is_dir():
            shutil.copytree(data / name, target / name)
        elif (data / name).exists():
            shutil.copy2(data / name, target / name)
