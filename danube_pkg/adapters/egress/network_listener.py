"""The socket for pods on a network: bound once, and kept while proxies come and go.

This process holds a copy of it, so that connections wait while a proxy is replaced. A server that was restarted takes
it from the proxy that has it; an upgraded one passes it to its own proxy, and the older proxy keeps the connections
that it has.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable

from danube_pkg.adapters.egress.proxy_connection import DESCRIPTORS_OF_RESPONSE, ProxyConnection
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.kit.listening import address_of, listening_socket


class NetworkListeners:
    """address: `HOST:PORT`, "" where no pod is on a network."""

    def __init__(self, address: str) -> None:
        self._wanted = address
        self._socket: socket.socket | None = None
        self._passing = asyncio.Lock()

    @property
    def address(self) -> str:
        """The bound address; "" before it is bound."""
        return address_of(self._socket) if self._socket is not None else ""

    async def pass_to(self, current: ProxyConnection, others: Iterable[ProxyConnection]) -> None:
        """The current proxy accepts connections from now on, and no other one. Raises Permanent, Unavailable."""
        if not self._wanted:
            return
        async with self._passing:
            if self._socket is None:
                self._socket = await self._found((current, *others)) or self._bind()
            await current.request({"verb": "listen"}, (self._socket.fileno(),))
            for one in others:
                with contextlib.suppress(Unavailable):  # it has ended
                    await one.request({"verb": "retire"})

    async def _found(self, proxies: Iterable[ProxyConnection]) -> socket.socket | None:
        """The socket of a proxy of an earlier server, if it is at the wanted address."""
        for proxy in proxies:
            with contextlib.suppress(Unavailable):
                descriptors = (await proxy.request({"verb": "listener"}))[DESCRIPTORS_OF_RESPONSE]
                for descriptor in descriptors:
                    found = socket.socket(fileno=descriptor)
                    if self._is_wanted(found):
                        return found
                    found.close()
                    await proxy.request({"verb": "retire"})
        return None

    def _is_wanted(self, found: socket.socket) -> bool:
        return address_of(found) == self._wanted or self._wanted.endswith(":0")

    def _bind(self) -> socket.socket:
        try:
            return listening_socket(self._wanted)
        except OSError as error:
            raise Permanent(
                "egress-address-unusable",
                f"the egress proxy cannot listen on {self._wanted}",
                cause=error.strerror or str(error),
                hint="change [egress] bind_address in danube.toml",
            ) from error

    def close(self) -> None:
        """Close this process's copy."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
