"""The image of a builder: Kaniko's executor alone, or a stand-in that takes the same arguments."""

from pathlib import Path

import tests.fakes.kaniko_executor
from danube_pkg.adapters.coordinator_image.archive import write_image
from danube_pkg.adapters.coordinator_image.contents import collect
from danube_pkg.adapters.coordinator_image.entries import ImageEntry
from danube_pkg.adapters.programs import coordinator_files
from danube_pkg.bootstrap.coordinator_image import coordinator_recipe
from danube_pkg.kit.records import replace
from tests.support.image_layouts import Layout, directory, file

ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "PATH": "/usr/local/bin:/kaniko",
    "DOCKER_CONFIG": "/kaniko/.docker/",
}
"""As in the Dockerfile of Kaniko's image (`deploy/Dockerfile`)."""


def builder_archive(scratch: Path, executor: str) -> Path:
    """An archive of the image, which has no shell. executor: Kaniko's; "" for the stand-in."""
    if executor:
        layers = [[directory("kaniko"), file("kaniko/executor", Path(executor).read_bytes(), mode=0o755)]]
        config = {"Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()], "WorkingDir": "/workspace"}
        return Layout(scratch / "builder").image("kaniko:1", layers, config=config).file(scratch / "builder.tar")
    return _stand_in(scratch / "builder.tar")


def _stand_in(archive: Path) -> Path:
    """This machine's Python with the stand-in as its program."""
    program = b"#!/usr/bin/python3\n" + Path(tests.fakes.kaniko_executor.__file__).read_bytes()
    entries = [one for one in collect(coordinator_files()) if one.path != "usr/bin/sh"]
    entries.append(ImageEntry("kaniko", 0o755, directory=True))
    entries.append(ImageEntry("kaniko/executor", 0o755, content=program))
    recipe = replace(coordinator_recipe(), user="0", environment=ENVIRONMENT, name="kaniko:1", command=())
    write_image(archive, entries, recipe)
    return archive
