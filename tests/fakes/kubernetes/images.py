"""The images that the fake's node knows: all have the programs of this machine, as the sandbox's image `host` has
them."""

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg.adapters.programs import PROGRAM_PATH, coordinator_program, find_program
from danube_pkg.adapters.runtimes.sandbox.host_image import RootFileSystem, host_root

SUPERVISOR_IN_IMAGE = "/opt/danube/bin/danube-step"


@dataclass(slots=True)
class FakeImage:
    """What a container of an image consists of. entrypoint: without a `command`."""

    digest: str
    root: RootFileSystem
    mounts: list[tuple[Path, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ("/bin/sh",)
    working_directory: str = "/"


class PullRefused(Exception):
    """The argument is the sentence of the container runtime."""


class FakeImages:
    """Images by their reference. Each that is not named here is the machine's own programs; a host of `.invalid` does
    not resolve. The coordinator's code and the supervisor are in every image, where the coordinator image has
    them."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        """Why a reference cannot be pulled."""
        self.slow: dict[str, float] = {}
        """How many seconds a pull takes."""
        self.own: dict[str, FakeImage] = {}
        """Images with content of their own."""

    def pull(self, reference: str) -> FakeImage:
        """Raises PullRefused."""
        if reference in self.refused:
            raise PullRefused(self.refused[reference])
        host = reference.partition("/")[0]
        if host.partition(":")[0].endswith(".invalid"):
            name = reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"
            tag = name.rpartition(":")[2]
            url = f"https://{host}/v2/{name.partition('/')[2].rpartition(':')[0]}/manifests/{tag}"
            raise PullRefused(
                f'failed to pull and unpack image "{name}": failed to resolve image: failed to do request: Head'
                f' "{url}": dial tcp: lookup {host}: no such host'
            )
        return self.own.get(reference) or host_programs(reference)


def host_programs(reference: str, user: int = 1000) -> FakeImage:
    """The machine's own programs, with the coordinator's code and the supervisor in them."""
    program = coordinator_program()
    root = host_root(Path(sys.base_prefix), (), user=user, host_network=False)
    digest = f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    mounts = [*program.mounts, (find_program("danube-step"), SUPERVISOR_IN_IMAGE)]
    environment = {**dict(root.environment), "PYTHONPATH": PROGRAM_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
    return FakeImage(digest, root, mounts, environment)
