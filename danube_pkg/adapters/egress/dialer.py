"""Resolves names and opens connections for the proxy.

A name is resolved once, and the connection goes to the address that was checked: a name server whose next answer
differs (DNS rebinding) is not queried again.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from danube_pkg.core.egress.addresses import Address, parse_address
from danube_pkg.core.egress.policy import EgressTarget
from danube_pkg.kit.tasks import end_all

RESOLVE_SECONDS = 15.0
"""Three name servers with the resolver's default timeout of five seconds each."""

CONNECT_SECONDS = 20.0
"""Timeout for all addresses of a name together."""

NEXT_ADDRESS_SECONDS = 0.25
"""The connection attempt delay of RFC 8305: a broken IPv6 costs a quarter of a second, not a timeout."""

MAX_ADDRESSES = 8
"""Addresses of one name that are tried, as many as clients try."""

RESOLVER_THREADS = 16
"""getaddrinfo blocks, so this is the limit of simultaneous queries of all pods."""


class Dialer:
    """One for all pods of a proxy. Close it after use."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    async def resolve(self, target: EgressTarget, hosts: Mapping[str, str]) -> Sequence[Address]:
        """The target's addresses in order of preference; empty if it has none.

        `hosts` takes precedence over the resolver.
        """
        known = parse_address(hosts[target.host]) if target.host in hosts else target.address
        if known is not None:
            return [known]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await loop.run_in_executor(self._threads, _look_up, target.host)
        except (OSError, UnicodeError, TimeoutError):
            return []
        parsed = (parse_address(text.partition("%")[0]) for text in found)
        return list(dict.fromkeys(address for address in parsed if address is not None))

    async def connect(self, addresses: Sequence[Address], port: int) -> tuple[socket.socket, Address]:
        """The first connection that succeeds; attempts start one after the other. Raises OSError, TimeoutError."""
        attempts: dict[asyncio.Task[socket.socket], Address] = {}
        left = list(addresses[:MAX_ADDRESSES])
        failure: BaseException = OSError("there is no address")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while left or attempts:
                    if left:
                        address = left.pop(0)
                        work = _connect(address, port)
                        attempts[asyncio.get_running_loop().create_task(work, name=f"connect {address}")] = address
                    timeout = NEXT_ADDRESS_SECONDS if left else None
                    done, _ = await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                    for attempt in done:
                        if (error := attempt.exception()) is None:
                            return attempt.result(), attempts.pop(attempt)
                        failure = error
                        del attempts[attempt]
        finally:
            await _close_others(attempts)
        raise failure

    def close(self) -> None:
        """Does not wait for queries in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _close_others(attempts: Mapping["asyncio.Task[socket.socket]", Address]) -> None:
    await end_all(*(attempt for attempt in attempts if not attempt.done()))
    for attempt in attempts:
        if not attempt.cancelled() and attempt.exception() is None:
            attempt.result().close()


def _look_up(host: str) -> Sequence[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


async def _connect(address: Address, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection
