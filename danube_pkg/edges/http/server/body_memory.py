"""A bound for what request bodies may use together while they are read, for paths that take large bodies.

It counts bytes that have arrived and none that were announced: a client that announces much and sends little, or
nothing, keeps no other client waiting. Small bodies are not counted.
"""

import asyncio

from danube_pkg.core.errors import Unavailable

WAIT_SECONDS = 8.0
"""How long a body waits for memory. Forges give up after ten seconds."""


class BodyMemory:
    """limit_bytes: for all bodies together; small_bytes: the beginning of each body that is not counted."""

    def __init__(self, limit_bytes: int, small_bytes: int) -> None:
        self._limit = limit_bytes
        self._small = small_bytes
        self._used = 0
        self._released = asyncio.Event()

    async def grow(self, held: int, body_bytes: int) -> int:
        """What a body holds after it has grown to that size, of which it held `held` before.

        Waits while others use the memory. Raises Unavailable where that takes too long.
        """
        wanted = max(0, body_bytes - self._small)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while self._used - held + wanted > self._limit:
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError as error:
            raise Unavailable(
                "bodies-too-large", "too many large requests are being read", hint="send it again later"
            ) from error
        self._used += wanted - held
        return wanted

    def release(self, held: int) -> None:
        """The body was read, or is not read any further."""
        self._used -= held
        if held:
            self._released.set()
