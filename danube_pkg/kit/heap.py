"""The memory that the C library holds for this process and does not use.

Each thread of a process has an arena of its own in glibc, up to eight for each processor, and an arena keeps what was
freed in it. A server whose threads copy, compress and hash therefore grows for hours, though it uses no more. Other C
libraries have no such arenas: the functions do nothing there.
"""

import asyncio
import ctypes
from typing import Any

MAX_ARENAS = 2
"""One for the event loop and one for all other threads, of which one at a time runs Python anyway."""

RELEASE_SECONDS = 60.0
"""A release takes some milliseconds, and what was released is cleared by the kernel when it is used again."""

_M_ARENA_MAX = -8
"""The number in malloc.h, for mallopt(3)."""


def limit_arenas(most: int = MAX_ARENAS) -> bool:
    """Bound the number of arenas; to be called before threads exist. False where the C library has none."""
    mallopt = _function("mallopt")
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, most))


def release_free() -> bool:
    """Give free pages in the middle of arenas back to the system (malloc_trim(3)). False where none was found."""
    trim = _function("malloc_trim")
    return trim is not None and bool(trim(ctypes.c_size_t(0)))


async def release_regularly() -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(RELEASE_SECONDS)
        await asyncio.to_thread(release_free)  # a large heap takes longer than a turn of the loop may


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
