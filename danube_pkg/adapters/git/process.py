"""The server's side of the worker: sends requests, reads the answers with backpressure, raises its error.

Each question, and each job, has a process of its own, which ends with it: none is kept for another job, since it has
parsed what an untrusted repository sent and holds a credential. A fork server starts it: the imports of dulwich take
longer than most answers.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

import danube_pkg
from danube_pkg.adapters.git.limits import CHUNK_BYTES, NOTICE
from danube_pkg.core import errors
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.kit.forking import ForkServer
from danube_pkg.kit.signals import signal_name
from danube_pkg.kit.stopped import without_stops

WORKER_MODULE = "danube_pkg.adapters.git.worker"

ANSWER_TIMEOUT_SECONDS = 900.0
"""Until the first byte: a shallow fetch of a large repository over a slow line takes some minutes."""

CHUNK_TIMEOUT_SECONDS = 120.0
"""Between two parts of an answer: a worker only reads from disk then, and one that is stopped is replaced."""

MAX_STDERR_BYTES = 64 * 1024

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "SSL_CERT_FILE")


class WorkerProcess(Protocol):
    """A started worker."""

    @property
    def pid(self) -> int: ...

    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...

    @property
    def stdout(self) -> asyncio.StreamReader | None: ...

    @property
    def stderr(self) -> asyncio.StreamReader | None: ...

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""

    def kill(self) -> None: ...


class WorkerStarter(Protocol):
    """Starts workers: a `ForkServer` of `WORKER_MODULE`."""

    async def start(self, environment: Mapping[str, str], limit_bytes: int) -> WorkerProcess:
        """limit_bytes: what is read ahead of each pipe."""


def worker_processes() -> ForkServer:
    """What starts workers. To be closed by its owner."""
    return ForkServer(WORKER_MODULE, worker_environment())


class Conversation:
    """One worker process, which answers one request after the other. `close` ends it, whatever it does; so does an
    error, which is raised where its output ends."""

    def __init__(self, process: WorkerProcess) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise errors.Defect("worker-pipes", "the source worker has no pipes")
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._stderr = asyncio.create_task(_tail(process.stderr), name="git-worker-stderr")
        self._closed = False

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A short answer, as JSON."""
        async with without_stops("Git worker", self._process.pid):
            self._send(request)
            answer, seconds = bytearray(), ANSWER_TIMEOUT_SECONDS
            while not answer.endswith(b"\n"):
                chunk = await _read(self._stdout, request, seconds)
                if not chunk:
                    raise _error(await self._process.wait(), await self._stderr)
                answer += chunk
                seconds = CHUNK_TIMEOUT_SECONDS
        found: Mapping[str, Any] = json.loads(answer)
        return found

    async def stream(self, request: Mapping[str, Any], notices: list[str] | None = None) -> AsyncGenerator[bytes, None]:
        """The last answer, in chunks; the worker's sentences for users are added to `notices` at the end."""
        async with without_stops("Git worker", self._process.pid):
            self._send(request)
            chunk = await _read(self._stdout, request, ANSWER_TIMEOUT_SECONDS)
            while chunk:
                yield chunk
                chunk = await _read(self._stdout, request, CHUNK_TIMEOUT_SECONDS)
            code = await self._process.wait()
        if code:
            raise _error(code, await self._stderr)
        if notices is not None:
            notices += _notices(await self._stderr)

    def _send(self, request: Mapping[str, Any]) -> None:
        """A worker that has ended meanwhile is noticed by the end of its output."""
        self._stdin.write(json.dumps(request).encode() + b"\n")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._process.kill()
        self._stderr.cancel()
        await self._process.wait()


class Worker:
    """Starts processes: one for each question, and one for each conversation."""

    def __init__(self, processes: WorkerStarter) -> None:
        self._processes = processes

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A short answer, as JSON."""
        conversation = await self.begin()
        try:
            return await conversation.ask(request)
        finally:
            await conversation.close()

    async def stream(self, request: Mapping[str, Any], notices: list[str] | None = None) -> AsyncGenerator[bytes, None]:
        """See `Conversation.stream`. The worker is killed when the reader stops early."""
        conversation = await self.begin()
        try:
            async with aclosing(conversation.stream(request, notices)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await conversation.close()

    async def begin(self) -> Conversation:
        """A process that waits for requests; to be closed by the caller. Raises Unavailable."""
        try:
            return Conversation(await self._processes.start(worker_environment(), CHUNK_BYTES))
        except OSError as error:
            raise Unavailable(
                "git-worker-lost",
                "a Git worker could not be started",
                cause=error.strerror or str(error),
                hint="try again; whether memory was short, the kernel says: journalctl -k",
            ) from error


async def _read(output: asyncio.StreamReader, request: Mapping[str, Any], seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await output.read(CHUNK_BYTES)
    except TimeoutError as error:
        raise Unavailable(
            "source-unreachable",
            f"{without_login(request['repository'])} did not answer in {seconds:g} s",
            cause="the Git worker printed nothing for so long, and was ended",
            hint="try again",
        ) from error


async def _tail(stderr: asyncio.StreamReader) -> bytes:
    """The end of the worker's standard error; all of it is read, so that the worker never blocks."""
    kept = b""
    while data := await stderr.read(MAX_STDERR_BYTES):
        kept = (kept + data)[-MAX_STDERR_BYTES:]
    return kept


def _notices(stderr: bytes) -> list[str]:
    lines = stderr.decode("utf-8", "replace").splitlines()
    return [str(json.loads(line.removeprefix(NOTICE))) for line in lines if line.startswith(NOTICE)]


def _error(code: int, stderr: bytes) -> PlatformError:
    """The worker's own error, or that of a worker which was ended from outside: its repository is not the cause."""
    if code < 0:
        return Unavailable(
            "git-worker-lost",
            f"the Git worker was ended by {signal_name(-code)}",
            hint="try again; whether memory was short, the kernel says: journalctl -k",
        )
    text = stderr.decode("utf-8", "replace").strip()
    last = text.rpartition("\n")[2]
    try:
        fields = json.loads(last)
        kind = getattr(errors, fields.pop("kind"))
        found: PlatformError = kind(fields.pop("reference"), fields.pop("what"), **fields)
    except (ValueError, TypeError, AttributeError, KeyError):
        return Permanent(
            "source-unavailable",
            "the source could not be read",
            cause=f"the Git worker ended with {code}: {last[:500] or 'no message'}",
            hint="check the repository with: git fsck",
        )
    return found


def worker_environment() -> Mapping[str, str]:
    """The variables that Git and TLS need, and the path of this program; no others of the server's."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    home = str(Path(danube_pkg.__file__).absolute().parents[1])
    inherited = os.environ.get("PYTHONPATH", "")
    return {**passed, "PYTHONPATH": f"{home}{os.pathsep}{inherited}" if inherited else home, "PYTHONUNBUFFERED": "1"}
