"""Images: pulling and unpacking beside skopeo with umoci, and how long the first step in a cached image
waits."""

import asyncio
import io
import os
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.containers import busybox, open_image_pods
from tests.adapters.images.setup import open_image_setup
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of
from tests.support.image_layouts import (
    Layout,
    packed,
    push,
    run,
)
from tests.support.registry import serving

LAYERS_BYTES = (90 << 20, 30 << 20, 10 << 20)
"""Files of this machine's /usr: together as much as the image of a language has over its base, 50 MB compressed."""

TIMES = 5
STARTS = 30


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as name:
        directory = Path(name)
        with serving(directory / "registry") as registry:
            layout = _layout(directory / "layout")
            push(layout, "1", image := f"{registry.host}/bench/image:1")
            size = sum(path.stat().st_size for path in (directory / "layout/blobs/sha256").iterdir()) / 1e6
            ours, theirs = [], []
            for number in range(TIMES):  # by turns, since such a machine drifts
                ours.append(asyncio.run(_pull(directory / f"ours{number}", registry.host, image)))
                theirs.append(_skopeo_and_umoci(directory / f"theirs{number}", image))
        starts = asyncio.run(_starts(directory / "pods"))
    note = f"{size:.0f} MB in 3 layers; skopeo with umoci {statistics.median(theirs):.2f} s"
    spread = f"{min(starts) * 1000:.0f} to {max(starts) * 1000:.0f} ms over {STARTS} pods"
    return [
        Figure("pull and unpack an image", statistics.median(ours), "s", statistics.median(theirs), note=note),
        Figure("first step in a cached image", statistics.median(starts) * 1000, "ms", note=spread),
    ]


def _layout(path: Path) -> Layout:
    files = _files(Path("/usr"))
    return Layout(path).image("1", [packed(_archive(files, size)) for size in LAYERS_BYTES])


def _files(top: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(top):
        names.sort()
        yield from (Path(directory) / file for file in sorted(files))


def _archive(files: Iterator[Path], size: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        while made.tell() < size and (path := next(files, None)) is not None:
            if path.is_symlink() or path.stat().st_size < size / 10:
                tar.add(path, str(path)[1:])
    return made.getvalue()


async def _pull(directory: Path, host: str, image: str) -> float:
    async with open_image_setup(directory, RegistrySpec(host, insecure=True)) as setup:
        started = time.perf_counter()
        await setup.pull(image)
        took = time.perf_counter() - started
    shutil.rmtree(directory)
    return took


def _skopeo_and_umoci(directory: Path, image: str) -> float:
    directory.mkdir()
    started = time.perf_counter()
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{image}",
        f"oci:{directory}/l:1",
    )
    words = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *words, "--image", f"{directory}/l:1", f"{directory}/unpacked")
    took = time.perf_counter() - started
    shutil.rmtree(directory)
    return took


async def _starts(directory: Path) -> list[float]:
    """Seconds from a pod without a container of the image to the end of the first program in one."""
    directory.mkdir()
    times = []
    async with open_image_pods(directory) as image_pods:
        image = await image_pods.load("bench", [busybox()])
        for _ in range(STARTS):
            pod_id = new_pod_id()
            await image_pods.pods.runtime.create_pod(spec_of(pod_id))
            started = time.perf_counter()
            container = await image_pods.pods.runtime.ensure_container(pod_id, image)
            await image_pods.pods.shell(container, "true")
            times.append(time.perf_counter() - started)
            await image_pods.pods.runtime.delete_pod(pod_id)
    return times
