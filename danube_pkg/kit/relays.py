"""Passing on the bytes of one connection to another."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from danube_pkg.kit.tasks import until

PIECE_BYTES = 64 * 1024

CLOSE_SECONDS = 5.0
"""For a peer that does not read what was sent before the connection ended."""

Side = tuple[StreamReader, StreamWriter]


async def relay(one: Side, other: Side, *, name: str) -> None:
    """Pass on what arrives at either side, until the first one ends."""
    await until(_pass(other[0], one[1]), _pass(one[0], other[1]), name=name)


async def _pass(reader: StreamReader, writer: StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def closing(writer: StreamWriter) -> AsyncIterator[None]:
    """Close a connection behind what was written to it, within a bounded time."""
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
        writer.transport.abort()
