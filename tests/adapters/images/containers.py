"""Containers of images for tests: layouts loaded from files, a runtime on the store that holds them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danube_pkg.adapters.images.archives import open_archive
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, Network
from tests.adapters.images.setup import ImageSetup, open_image_setup
from tests.adapters.runtimes.sandbox.pods import (
    Pods,
    new_pod_id,
    settings_of,
    spec_of,
)
from tests.fakes.egress import NoProxies
from tests.support.image_layouts import (
    MACHINE,
    Entry,
    Layout,
    Packed,
    directory,
    file,
    link,
)

BUSYBOX = Path("/usr/bin/busybox")
"""From Debian's busybox-static: one static program with all tools of a small system."""

TOOLS = ("sh", "ls", "cat", "id", "chown", "chmod", "mkdir", "rm", "mv", "ln", "stat", "tar", "su", "env", "pwd", "wget",
         "httpd", "nc", "sleep", "touch", "find", "ps", "hostname", "test", "grep", "kill", "mount", "true", "head", "echo",
         "mknod", "readlink", "wc", "df")  # fmt: skip

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:Node:/home/node:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = "root:x:0:\nnode:x:1000:\nbuilders:x:2000:node,other\n"


def busybox() -> list[Entry]:
    """A layer with a shell, a few tools and accounts."""
    return [
        directory("bin"),
        file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
        *(link(f"bin/{tool}", "busybox") for tool in TOOLS),
        directory("etc"),
        file("etc/passwd", PASSWD),
        file("etc/group", GROUP),
        directory("root", mode=0o700),
        directory("home"),
        directory("home/node", user=1000, group=1000),
        directory("tmp", mode=0o1777),
    ]


@dataclass(frozen=True, slots=True)
class ImagePods:
    """Pods whose containers have images."""

    pods: Pods
    setup: ImageSetup
    scratch: Path

    async def load(self, name: str, layers: Sequence[Sequence[Entry] | Packed], **config: Any) -> str:
        """Loads an image under a name, as `danube image load` does."""
        layout = Layout(self.scratch / name.replace("/", "_")).image("latest", layers, config=config)
        path = layout.file(self.scratch / f"{name.replace('/', '_')}.tar")
        with open_archive(path, self.scratch) as archive:
            for archived in archive.images(MACHINE):
                await self.setup.images.load(archived, [name])
        return name

    async def container(self, image: str, *, network: Network = Network.NONE) -> Container:
        """A container of an image in a pod of its own."""
        pod_id = new_pod_id()
        await self.pods.runtime.create_pod(spec_of(pod_id, network=network))
        return await self.pods.runtime.ensure_container(pod_id, image)

    async def sh(self, container: Container, command: str) -> str:
        """The output of a command, which must succeed."""
        code, printed = await self.pods.shell(container, command)
        assert code == 0, f"{command}: {code}\n{printed.decode()}"
        return printed.decode()


@asynccontextmanager
async def open_image_pods(directory_: Path) -> AsyncIterator[ImagePods]:
    """A runtime whose pods are deleted after the block."""
    data, scratch = directory_ / "data", directory_ / "scratch"
    data.mkdir()
    scratch.mkdir()
    async with open_image_setup(data) as setup:
        runtime = SandboxRuntime(settings_of(data), setup.images, NoProxies())
        try:
            yield ImagePods(Pods(data, runtime), setup, scratch)
        finally:
            for state in await runtime.list_pods():
                await runtime.delete_pod(state.pod_id)
            await runtime.close()


__all__ = ["BUSYBOX", "HOST_IMAGE", "ImagePods", "busybox", "open_image_pods"]
