"""The image of a builder: Kaniko's executor alone, or a stand-in that takes the same arguments."""

from pathlib import Path

from tests.support.image_layouts import Layout, directory, file

ENVIRONMENT = ["HOME=/root", "USER=root", "PATH=/usr/local/bin:/kaniko", "DOCKER_CONFIG=/kaniko/.docker/"]
"""As in the Dockerfile of Kaniko's image (`deploy/Dockerfile`)."""


def builder_archive(scratch: Path, executor: str) -> Path:
    """An archive of the image, which has no shell. executor: Kaniko's; "" for the stand-in."""
    layers = [[directory("kaniko"), file("kaniko/executor", Path(executor).read_bytes(), mode=0o755)]]
    config = {"Env": ENVIRONMENT, "WorkingDir": "/workspace"}
    return Layout(scratch / "builder").image("kaniko:1", layers, config=config).file(scratch / "builder.tar")
