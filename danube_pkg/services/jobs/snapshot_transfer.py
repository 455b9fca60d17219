"""The bytes of a snapshot between the server and a container, by `danube-step capture` and `apply`.

Before the archive a snapshot has what its step printed, masked: 8 bytes with the number of bytes that it printed, 8
with the number of those that follow, and these.
"""

import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.coordination import MAX_OUTPUT_BYTES
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container
from danube_pkg.core.runtimes.ports import ExecStream, Runtime
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.cache_transfer import MESSAGE_BYTES, cause_of, fed

READY = b"ready\n"
UNCHANGED = (1, 2)
"""Exit codes of `danube-step apply` where nothing was changed; 2 is that of an older program, which has no `apply`."""

MAX_MASKED_BYTES = 4 * MAX_OUTPUT_BYTES
"""Masking replaces bytes that are not UTF-8 by three, and short secrets by `***`."""

_HEAD = struct.Struct("<QQ")


class KeptOutput(Record):
    """The end of what a step printed. total_bytes: of all that it printed."""

    data: bytes
    total_bytes: int


async def begin_capture(runtime: Runtime, container: Container) -> ExecStream:
    """Returns when every file of the container is noted. Raises Permanent where a snapshot cannot be made."""
    stream, received = await runtime.exec(container, (SUPERVISOR, "capture")), b""
    try:
        while not received.endswith(READY):
            data = await stream.read()
            if not data:
                raise _not_captured(received, await stream.wait())
            received = (received + data)[-MESSAGE_BYTES:]
    except BaseException:
        await stream.close()
        raise
    return stream


async def captured(stream: ExecStream, output: KeptOutput) -> AsyncGenerator[bytes, None]:
    """The snapshot of the step that has ended. Raises Permanent at its end where it must not be used, Unavailable."""
    yield _HEAD.pack(output.total_bytes, len(output.data)) + output.data
    await stream.write(b"g")
    tail = b""
    while data := await stream.read():
        tail = (tail + data)[-MESSAGE_BYTES:]
        yield data
    if code := await stream.wait():
        raise _not_captured(tail, code)


async def output_before(chunks: AsyncIterator[bytes]) -> tuple[KeptOutput, bytes]:
    """The output at the beginning of a snapshot, and the bytes behind it that were read. Raises Permanent."""
    held = b""
    async for data in chunks:
        held += data
        if len(held) < _HEAD.size:
            continue
        total, size = _HEAD.unpack_from(held)
        if size > MAX_MASKED_BYTES:
            break
        if len(held) >= _HEAD.size + size:
            end = _HEAD.size + size
            return KeptOutput(held[_HEAD.size : end], total), held[end:]
    raise Permanent("cache-damaged", "the stored snapshot cannot be used", hint="check the disk: journalctl -k")


async def applied(
    runtime: Runtime, container: Container, first: bytes, chunks: AsyncIterator[bytes]
) -> tuple[int, str]:
    """The exit code of `danube-step apply`, and the cause of a failure. first: bytes before the chunks. Raises as
    `fed`."""

    async def whole() -> AsyncGenerator[bytes, None]:
        if first:
            yield first
        async for data in chunks:
            yield data

    async with aclosing(whole()) as archive:
        code, tail = await fed(runtime, container, ("apply",), archive)
    return code, cause_of(tail, "apply", code)


def _not_captured(tail: bytes, code: int) -> Permanent:
    return Permanent(
        "snapshot-not-made",
        "what the step has changed cannot be kept",
        cause=cause_of(tail, "capture", code),
        hint="let a step with snapshot= add files only, and run the rest in a step of its own",
    )
