"""The server's connection to one proxy process: requests, their responses in order, and whether it still answers."""

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.adapters.egress.control import receive_packet, send_packet
from danube_pkg.core.errors import Unavailable
from danube_pkg.kit.readiness import wait_readable

ANSWER_SECONDS = 10.0
"""Timeout of a request to a proxy that is just starting on a busy machine; otherwise it takes microseconds."""

PING_SECONDS = 5.0
"""Between two questions to a proxy whether it runs: while one is stopped, no connection of its pods proceeds."""

DESCRIPTORS_OF_RESPONSE = "descriptors"
"""The key of a response's descriptors, which the caller closes."""

_log = logging.getLogger("danube.egress")


class ProxyConnection:
    """A connection to one proxy. Responses have the order of the requests."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pending: deque[asyncio.Future[Mapping[str, Any]]] = deque()
        self.has_ended = False
        self.has_started = False
        self.is_silent = False
        self._silent_since: float | None = None
        self.jobs: set[str] = set()

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        try:
            send_packet(self._connection, message, descriptors)
        except BlockingIOError as error:
            self._is_asked()
            raise Unavailable(
                "egress-proxy-slow", "the egress proxy accepts no more requests", cause=str(error)
            ) from error
        except OSError as error:
            self.has_ended = True
            raise Unavailable("egress-proxy-lost", "the egress proxy has ended", cause=str(error)) from error

    async def request(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Mapping[str, Any]:
        """Sends a request and returns the response. Raises Unavailable if there is none in time."""
        return await self.wait_response(self.start_request(message, descriptors), ANSWER_SECONDS)

    def start_request(
        self, message: Mapping[str, Any], descriptors: Sequence[int] = ()
    ) -> "asyncio.Future[Mapping[str, Any]]":
        """Sends a request; the future has its response. Raises Unavailable if the proxy has ended."""
        if self.has_ended:
            raise Unavailable("egress-proxy-lost", "the egress proxy has ended")
        self.send(message, descriptors)
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending.append(answer)
        self._is_asked()
        return answer

    def _is_asked(self) -> None:
        if self._silent_since is None:
            self._silent_since = asyncio.get_running_loop().time()

    async def wait_response(self, answer: "asyncio.Future[Mapping[str, Any]]", seconds: float) -> Mapping[str, Any]:
        """Waits for a response. Raises Unavailable if there is none in time."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise Unavailable("egress-proxy-slow", "the egress proxy does not answer") from error

    async def read_responses(self) -> None:
        """Reads responses until the proxy has ended."""
        try:
            while True:
                try:
                    packet = receive_packet(self._connection)
                except BlockingIOError:
                    await wait_readable(self._connection.fileno())
                    continue
                if packet is None:
                    return
                self.has_started = True
                answer = self._pending.popleft()
                self._silent_since = asyncio.get_running_loop().time() if self._pending else None
                if answer.done():  # its caller waits no more
                    for descriptor in packet[1]:
                        os.close(descriptor)
                else:
                    answer.set_result({**packet[0], DESCRIPTORS_OF_RESPONSE: packet[1]})
        except OSError as error:
            _log.info("egress-proxy-lost", extra={"fields": {"cause": str(error)}})
        finally:
            self.has_ended = True
            for answer in self._pending:
                if not answer.done():
                    answer.set_exception(Unavailable("egress-proxy-lost", "the egress proxy has ended"))
                    answer.exception()  # marks it as retrieved, since there may be no caller left

    async def watch(self, silence_seconds: float) -> None:
        """Returns when requests have had no answer for so long. The first answer means that it has started."""
        loop = asyncio.get_running_loop()
        while self._silent_since is None or loop.time() - self._silent_since < silence_seconds:
            if not self._pending:
                with contextlib.suppress(
                    Unavailable
                ):  # it has ended, which read_responses detects, or its queue is full
                    self.start_request({"verb": "pods"})
            await asyncio.sleep(min(PING_SECONDS, silence_seconds / 4))
        self.is_silent = True

    def close(self) -> None:
        self._connection.close()
