"""Child processes with pipes, which leave nothing open whatever ends the task that started them."""

import asyncio
import contextlib
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

LIMIT_BYTES = 1 << 16
"""What is read ahead of each pipe, as `asyncio.create_subprocess_exec` has it."""


@asynccontextmanager
async def child_process(*words: str, limit_bytes: int = LIMIT_BYTES, **options: Any) -> AsyncIterator[Process]:
    """A process that has ended, with its pipes closed, when the block ends: if it still runs then, it is killed.

    `asyncio.create_subprocess_exec` leaves a process and its pipes open when the task that waits for it is cancelled.
    Python closes them when it collects them, which fails with "Event loop is closed" at the end of a server. The pipes
    are closed before the end is waited for: `Process.wait` waits for them too, and a grandchild may hold them open.

    options: as of `asyncio.create_subprocess_exec`. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(limit_bytes, loop), *words, **options
    )
    process = Process(transport, protocol, loop)
    try:
        yield process
    finally:
        try:
            with contextlib.suppress(ProcessLookupError):  # it has ended, as it should
                process.kill()
            for descriptor in range(3):
                if (pipe := transport.get_pipe_transport(descriptor)) is not None:
                    pipe.close()
            await process.wait()
        finally:
            transport.close()
