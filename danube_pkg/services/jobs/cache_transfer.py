"""The bytes of a cache between the server and a container: `danube-step` writes and reads them there, so that the
server never opens a file of a job, and the danubefile's process never has the bytes."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container
from danube_pkg.core.runtimes.ports import ExecStream, Runtime

NOTHING = 3
"""The exit code of `danube-step pack` where none of the paths exists."""

MESSAGE_BYTES = 4096
"""The end of the output, where a failure has its cause."""

MAX_MESSAGE = 300


async def packed(runtime: Runtime, container: Container, paths: Sequence[str]) -> AsyncGenerator[bytes, None]:
    """The archive of these paths. Raises Permanent at its end where it must not be used, Unavailable."""
    stream = await runtime.exec(container, (SUPERVISOR, "pack", *paths))
    try:
        tail = b""
        while data := await stream.read():
            tail = (tail + data)[-MESSAGE_BYTES:]
            yield data
        code = await stream.wait()
    finally:
        await stream.close()
    if code == NOTHING:
        what = f"there is nothing at {', '.join(paths)}"
        raise Permanent("cache-empty", what, hint="list the path in a step of the same image: ls -la")
    if code:
        raise Permanent(
            "cache-not-packed",
            "its files could not be read",
            cause=cause_of(tail, "pack", code),
            hint="end what writes them before the block ends",
        )


async def unpack(runtime: Runtime, container: Container, paths: Sequence[str], chunks: AsyncIterator[bytes]) -> None:
    """Put the files of an archive at these paths, or change nothing. Raises as `fed`."""
    code, tail = await fed(runtime, container, ("unpack", *paths), chunks)
    if code:
        raise Permanent(
            "cache-not-unpacked",
            "its files could not be restored",
            cause=cause_of(tail, "unpack", code),
            hint="choose paths that the image's user may write",
        )


async def fed(
    runtime: Runtime, container: Container, words: Sequence[str], chunks: AsyncIterator[bytes]
) -> tuple[int, bytes]:
    """The exit code of `danube-step` with these words, which reads the chunks, and the end of its output.

    Returns when the program has ended, also where `chunks` raises Permanent, which is raised then. Raises Unavailable
    where its end is not known.
    """
    stream = await runtime.exec(container, (SUPERVISOR, *words))
    failure: Permanent | None = None
    try:
        try:
            async for data in chunks:
                await stream.write(data)
        except Permanent as error:
            failure = error
        except Unavailable as error:
            if error.reference != "exec-closed":
                raise
        await stream.close_input()
        tail = await end_of(stream)
        code = await stream.wait()
    finally:
        await stream.close()
    if failure is not None:
        raise failure
    return code, tail


async def end_of(stream: ExecStream) -> bytes:
    """The last MESSAGE_BYTES of what it prints until it ends."""
    tail = b""
    while data := await stream.read():
        tail = (tail + data)[-MESSAGE_BYTES:]
    return tail


def cause_of(tail: bytes, verb: str, code: int) -> str:
    """What the program printed last. Text of a container."""
    _, marker, message = tail.rpartition(f"danube-step: {verb}: ".encode())
    return message.decode(errors="replace").strip()[:MAX_MESSAGE] if marker else f"exit code {code}"
