"""Asking the worker: one process for each image, which gets layers as they arrive and answers when they are applied."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from danube_pkg.core.errors import Defect
from danube_pkg.core.images.reference import ImageBounds, ImageUnavailable, PackedLayer

LAYER_SECONDS = 1800.0
"""For one layer: gigabytes on a slow disk take minutes, and nothing that goes on so long will end well."""


def worker_command() -> Sequence[str]:
    """The worker in this Python; -P: never a module from the directory that the server was started in."""
    return (sys.executable, "-P", "-m", "danube_pkg.adapters.images.worker")


class Unpacker:
    """One image on its way into a directory. Made by `unpacking`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, count: int) -> None:
        self._process = process
        self._name = name
        self._count = count
        self._done = 0
        self.size_bytes = 0

    async def add(self, layer: PackedLayer) -> None:
        """Apply the next layer. Raises ImageUnavailable."""
        described = {"path": str(layer.path), "offset": layer.offset, "size": layer.size, "diff_id": layer.diff_id}
        self.size_bytes += int((await self._ask({"layer": described}))["bytes"])
        self._done += 1

    async def finish(self) -> None:
        """After the last layer: from here on the directory is whole."""
        await self._ask({"finish": True})

    async def wait_safe(self) -> None:
        """Until all of it is on the disk."""
        await self._answer()

    async def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._process.stdin is None:
            raise Defect("unpacker-pipes", "the unpacker has no pipes")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its last answer says why it ended
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
            raise self._refusal(f"layer {self._done + 1} was not unpacked in {LAYER_SECONDS:g} s") from error
        answer: Mapping[str, Any] = json.loads(line) if line else {"failed": "the unpacker ended without a word"}
        if "broken" in answer:
            raise self._refusal(f"layer {self._done + 1} of {self._count} is refused: {answer['broken']}")
        if "full" in answer:
            raise ImageUnavailable(
                f"there is no room on this machine's disk for image {self._name}",
                cause=str(answer["full"]),
                hint="remove what is not used: danube image list; danube image remove NAME",
            )
        if "failed" in answer:
            raise self._refusal(f"layer {self._done + 1} of {self._count} could not be written: {answer['failed']}")
        return answer

    def _refusal(self, cause: str) -> ImageUnavailable:
        hint = "build and push the image again; a layer that another tool takes as well is worth a report"
        return ImageUnavailable(f"image {self._name} cannot be unpacked", cause=cause, hint=hint)


@asynccontextmanager
async def unpacking(
    root: Path,
    name: str,
    count: int,
    bounds: ImageBounds,
    *,
    keep_owners: bool,
    within: Sequence[str],
    keep_open: Sequence[int],
) -> AsyncIterator[Unpacker]:
    """A worker for an empty directory; it has ended when the block is left. within: words before its command. keep_open:
    descriptors that it shares."""
    process = await asyncio.create_subprocess_exec(
        *within,
        *worker_command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=tuple(keep_open),
        env={"PYTHONPATH": _path(), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        start_new_session=True,
    )
    try:
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
        yield Unpacker(process, name, count)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself where all went well
            process.kill()
        await process.wait()


def _path() -> str:
    """Where this very program is imported from."""
    return os.pathsep.join(path for path in sys.path if path)
