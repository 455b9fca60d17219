"""Makes the coordinator image of this program, and pushes it."""

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.coordinator_image.archive import ImageRecipe, WrittenImage, write_image
from danube_pkg.adapters.coordinator_image.contents import HOME, collect
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.pushing import RegistryPusher
from danube_pkg.adapters.programs import coordinator_files
from danube_pkg.bootstrap.images import ImageOptions, no_secret
from danube_pkg.core.images.coordinator import (
    CODE_PATH,
    COORDINATOR_COMMAND,
    COORDINATOR_USER,
    coordinator_labels,
    coordinator_reference,
)
from danube_pkg.core.images.manifests import platform_of
from danube_pkg.core.images.reference import PackedImage, parse_reference
from danube_pkg.core.images.registries import RegistrySpec, endpoints_of
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.images.registries import Registries


def coordinator_recipe() -> ImageRecipe:
    """What the image of this version says about itself."""
    return ImageRecipe(
        name=coordinator_reference(__version__),
        platform=platform_of(platform.machine()),
        labels=coordinator_labels(__version__),
        environment={
            "PATH": "/usr/bin",
            "HOME": HOME,
            "LANG": "C.UTF-8",
            "PYTHONPATH": CODE_PATH,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        command=("/bin/sh", "-c", COORDINATOR_COMMAND),
        user=f"{COORDINATOR_USER}:{COORDINATOR_USER}",
        working_directory="/workspace",
    )


def write_coordinator_image(path: Path) -> WrittenImage:
    """Write the image as an OCI archive. Raises Permanent, OSError."""
    return write_image(path, collect(coordinator_files()), coordinator_recipe())


async def push_image(
    image: PackedImage, name: str, options: ImageOptions, specs: Sequence[RegistrySpec], report: Callable[[str], None]
) -> str:
    """Push an image and return its full name with its digest. name: with the registry. specs: override the options'.

    Raises ImageUnavailable, Unavailable, Permanent.
    """
    reference = parse_reference(name, options.registry.default_host)
    access = Registries(lambda: (*options.registry.specs(), *specs), no_secret, DockerLogins(options.logins))
    endpoint = endpoints_of(reference.host, access.specs())[-1]
    pusher = RegistryPusher(endpoint, access, SystemClock(), f"danube/{__version__}", options.proxy_of, report)
    try:
        digest = await pusher.push(image, reference)
    finally:
        await pusher.close()
    return f"{reference}@{digest}"
