"""Runs the unpacking worker: one process for each image, which gets layers as they arrive and answers each."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from danube_pkg.core.errors import Defect, Unavailable
from danube_pkg.core.images.reference import ImageBounds, ImageUnavailable, PackedLayer
from danube_pkg.kit.processes import child_process
from danube_pkg.kit.signals import signal_name
from danube_pkg.kit.stopped import without_stops

LAYER_SECONDS = 1800.0
"""Timeout for one layer; gigabytes on a slow disk take minutes."""


def worker_command() -> Sequence[str]:
    """The command of the worker. -P: the current directory is not searched for modules."""
    return (sys.executable, "-P", "-m", "danube_pkg.adapters.images.worker")


class Unpacker:
    """The unpacking of one image into a directory. Created by `unpacking`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, count: int) -> None:
        self._process = process
        self._name = name
        self._count = count
        self._done = 0
        self.size_bytes = 0

    async def add(self, layer: PackedLayer) -> None:
        """Applies the next layer. Raises ImageUnavailable."""
        described = {"path": str(layer.path), "offset": layer.offset, "size": layer.size, "diff_id": layer.diff_id}
        self.size_bytes += int((await self._ask({"layer": described}))["bytes"])
        self._done += 1

    async def finish(self) -> None:
        """To be called after the last layer; then the directory is complete."""
        await self._ask({"finish": True})

    async def wait_safe(self) -> None:
        """Returns when everything is synced to the disk."""
        await self._answer()

    async def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._process.stdin is None:
            raise Defect("unpacker-pipes", "the unpacker has no pipes")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its last answer has the cause
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
        return await self._answer()

    async def _answer(self) -> Mapping[str, Any]:
        if self._process.stdout is None:
            raise Defect("unpacker-pipes", "the unpacker has no pipes")
        try:
            async with asyncio.timeout(LAYER_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError as error:
            raise self._lost(f"it did not answer for {LAYER_SECONDS:g} s") from error
        if not line:
            code = await self._process.wait()
            raise self._lost(f"it was ended by {signal_name(-code)}" if code < 0 else f"it ended with exit code {code}")
        answer: Mapping[str, Any] = json.loads(line)
        if "broken" in answer:
            raise self._refusal(f"{self._layer} is refused: {answer['broken']}")
        if "full" in answer:
            raise ImageUnavailable(
                f"there is no room on this machine's disk for image {self._name}",
                cause=str(answer["full"]),
                hint="remove unused images: danube image list; danube image remove NAME",
            )
        if "failed" in answer:
            raise self._refusal(f"{self._layer} could not be written: {answer['failed']}")
        return answer

    @property
    def _layer(self) -> str:
        """After the last layer there is only its end left."""
        return f"layer {min(self._done + 1, self._count)} of {self._count}"

    def _lost(self, cause: str) -> Unavailable:
        """The worker is gone, or stopped: nothing is known of the image. Its next use unpacks it again."""
        return Unavailable(
            "unpacker-lost",
            f"the process that unpacks image {self._name} is gone, at {self._layer}",
            cause=cause,
            hint="try again; whether memory was short, the kernel says: journalctl -k",
        )

    def _refusal(self, cause: str) -> ImageUnavailable:
        hint = "build and push the image again; please report a layer that other tools accept"
        return ImageUnavailable(f"image {self._name} cannot be unpacked", cause=cause, hint=hint)


@asynccontextmanager
async def unpacking(
    root: Path,
    name: str,
    count: int,
    bounds: ImageBounds,
    *,
    keep_owners: bool,
    command_prefix: Sequence[str],
    keep_open: Sequence[int],
) -> AsyncIterator[Unpacker]:
    """Runs a worker for an empty directory until the block ends.

    command_prefix: words before its command. keep_open: descriptors that it inherits.
    """
    async with child_process(
        *command_prefix,
        *worker_command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=tuple(keep_open),
        env={"PYTHONPATH": _path(), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        start_new_session=True,
    ) as process:
        start = {
            "root": str(root),
            "keep_owners": keep_owners,
            "files": bounds.files,
            "image_bytes": bounds.image_bytes,
            "free_bytes": bounds.free_bytes,
            "ratio": bounds.ratio,
        }
        if process.stdin is None:
            raise Defect("unpacker-pipes", "the unpacker has no pipes")
        process.stdin.write(json.dumps(start).encode() + b"\n")
        async with without_stops("image unpacker", process.pid):
            yield Unpacker(process, name, count)


def _path() -> str:
    """The import path of this process."""
    return os.pathsep.join(path for path in sys.path if path)
