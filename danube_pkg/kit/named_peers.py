"""Connections of this process to a unix socket of its own that say for whom they are.

gRPC knows of a connection what its socket's address is. So what passes on the connections of others binds its end to an
abstract unix address with a name in it. Only this process can reach the socket, so that nothing else can say a name.
"""

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

from danube_pkg.kit.relays import PIECE_BYTES, Side, closing

_PREFIX = "danube-peer/"

_numbers = itertools.count(1)
"""Makes each address unique in this process; its id makes it unique on the machine."""


@asynccontextmanager
async def connected_as(name: str, path: str) -> AsyncIterator[Side]:
    """A connection to the unix socket at `path`, closed with the block. name: without a slash. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.bind(f"\0{_PREFIX}{name}/{os.getpid()}-{next(_numbers)}")
        await asyncio.get_running_loop().sock_connect(connection, path)
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=PIECE_BYTES)
    except BaseException:
        connection.close()
        raise
    async with closing(writer):
        yield reader, writer


def peer_name(peer: str) -> str | None:
    """The name of a connection that `connected_as` made; None for any other. peer: as gRPC writes its address."""
    found = unquote(peer).partition(f":{_PREFIX}")[2]
    return found.partition("/")[0] or None
