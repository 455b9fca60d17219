"""Sends raw bytes as HTTP requests, also those that no HTTP client would send."""

import asyncio
import re


async def send_raw(host: str, port: int, data: bytes, *, seconds: float = 10.0, end: bool = False) -> list[int]:
    """The statuses of all answers until the server closes or sends nothing for a second. end: close our side first."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        await writer.drain()
        if end:
            writer.write_eof()
        received = await read_until_silent(reader, seconds)
    finally:
        writer.close()
    return statuses(received)


async def read_until_silent(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """All bytes up to the end of the stream, or up to a second without any after the first ones."""
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with asyncio.timeout(1.0 if received else seconds):
                    part = await reader.read(65536)
                if not part:
                    break
                received += part
    except (TimeoutError, ConnectionError):
        return received
    return received


def statuses(received: bytes) -> list[int]:
    """The status of each answer in the received bytes."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", received)]


def request(path: str = "/health", *headers: str, method: str = "GET") -> bytes:
    """A valid request. headers: lines after Host."""
    lines = [f"{method} {path} HTTP/1.1", "Host: danube", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
