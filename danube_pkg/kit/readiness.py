"""Waits until a file descriptor that asyncio does not own can be read or written."""

import asyncio
from collections.abc import Callable
from typing import Any


async def wait_readable(descriptor: int) -> None:
    """Wait until the descriptor can be read. A descriptor has at most one reader that waits."""
    loop = asyncio.get_running_loop()
    await _wait(descriptor, loop.add_reader, loop.remove_reader)


async def wait_writable(descriptor: int) -> None:
    """Wait until the descriptor can be written. A descriptor has at most one writer that waits."""
    loop = asyncio.get_running_loop()
    await _wait(descriptor, loop.add_writer, loop.remove_writer)


async def _wait(descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        remove(descriptor)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
