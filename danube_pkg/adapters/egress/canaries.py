"""Listens on the canary port: one that every network policy denies to pods, and that is open to all others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from danube_pkg.core.errors import Permanent
from danube_pkg.core.health.conditions import Condition
from danube_pkg.kit.listening import address_of, listening_socket

PROBE_SECONDS = 5.0

MAX_OPEN = 64
"""Connections at once; each is closed as soon as it was accepted."""


class CanaryPort:
    """advertised: the host by which pods would reach it, "" for the one that it listens on. further: other canaries,
    such as one in a pod, `ADDRESS:PORT`."""

    def __init__(self, address: str, advertised: str, further: Sequence[str] = ()) -> None:
        self._wanted = address
        self._advertised = advertised
        self._further = tuple(further)
        self._own = ""

    @property
    def targets(self) -> Sequence[str]:
        """What pods must not reach; its own only while it listens."""
        return (self._own, *self._further) if self._own else self._further

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Accept and close connections until the block is left. Raises Permanent where the address cannot be used."""
        try:
            listening = listening_socket(self._wanted)
        except OSError as error:
            raise Permanent(
                "canary-address-unusable",
                f"the server cannot listen on {self._wanted}",
                cause=error.strerror or str(error),
                hint="change [egress] canary_address in danube.toml",
            ) from error
        host, _, port = address_of(listening).rpartition(":")
        server = await asyncio.start_server(_close, sock=listening, backlog=MAX_OPEN)
        self._own = f"{self._advertised or host}:{port}"
        try:
            yield
        finally:
            self._own = ""
            server.close()

    async def conditions(self) -> Sequence[Condition]:
        """Canaries that this server does not reach either: closed ports from a pod would then prove nothing."""
        found = []
        for target in self.targets:
            if (cause := await _cause_of_failure(target)) is not None:
                what = f"the canary {target} is not reachable from this server: {cause}"
                hint = "check [egress] canary_address, canaries and advertise_address in danube.toml"
                found.append(Condition("canary-unreachable", what, hint))
        return found

    async def reachable(self) -> bool:
        """Whether there are canaries, and all are open for this server."""
        return bool(self.targets) and not await self.conditions()


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _cause_of_failure(target: str) -> str | None:
    host, _, port = target.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None
