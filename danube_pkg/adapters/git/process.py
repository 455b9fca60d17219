"""Asking the worker: starts it, hands over the request, reads the answer with backpressure, turns its errors back into ours."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import danube_pkg
from danube_pkg.adapters.git.limits import CHUNK_BYTES, NOTICE
from danube_pkg.core import errors
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.repositories.urls import without_login

ANSWER_TIMEOUT_SECONDS = 900.0
"""Until the first byte: a shallow fetch of a large repository over a slow line takes minutes, not quarters of an hour."""

MAX_COMPLAINT_BYTES = 64 * 1024

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "SSL_CERT_FILE")


def worker_command() -> Sequence[str]:
    """The worker in this Python; -P: never a module from the directory that the server was started in."""
    return (sys.executable, "-P", "-m", "danube_pkg.adapters.git.worker")


class Worker:
    """Starts one process for each request."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or worker_command())

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A short answer, as JSON."""
        answer = b"".join([chunk async for chunk in self.stream(request)])
        found: Mapping[str, Any] = json.loads(answer)
        return found

    async def stream(self, request: Mapping[str, Any], notices: list[str] | None = None) -> AsyncGenerator[bytes, None]:
        """The answer in chunks; what the worker has to say to people is added to `notices` at the end.

        The worker is ended when the reader leaves; its error is raised where its output ends.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=CHUNK_BYTES,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise errors.Defect("worker-pipes", "the source worker has no pipes")
        complaint = asyncio.create_task(_tail(process.stderr), name="git-worker-stderr")
        try:
            process.stdin.write(json.dumps(request).encode())
            process.stdin.close()
            chunk = await _first(process.stdout, request)
            while chunk:
                yield chunk
                chunk = await process.stdout.read(CHUNK_BYTES)
            code = await process.wait()
            if code:
                raise _error(code, await complaint)
            if notices is not None:
                notices += _notices(await complaint)
        finally:
            # Gone already where the answer was complete.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            complaint.cancel()
            await process.wait()


async def _first(output: asyncio.StreamReader, request: Mapping[str, Any]) -> bytes:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            return await output.read(CHUNK_BYTES)
    except TimeoutError as error:
        raise Unavailable(
            "source-unreachable",
            f"{without_login(request['repository'])} did not answer in {ANSWER_TIMEOUT_SECONDS:g} s",
            hint="try again",
        ) from error


async def _tail(complaints: asyncio.StreamReader) -> bytes:
    """The end of what the worker says; all is read, so that it never waits for us."""
    kept = b""
    while data := await complaints.read(MAX_COMPLAINT_BYTES):
        kept = (kept + data)[-MAX_COMPLAINT_BYTES:]
    return kept


def _notices(said: bytes) -> list[str]:
    lines = said.decode("utf-8", "replace").splitlines()
    return [str(json.loads(line.removeprefix(NOTICE))) for line in lines if line.startswith(NOTICE)]


def _error(code: int, complaint: bytes) -> PlatformError:
    text = complaint.decode("utf-8", "replace").strip()
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


def _environment() -> Mapping[str, str]:
    """What Git and TLS need, and the place of this very program; nothing else that the server was given."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    home = str(Path(danube_pkg.__file__).absolute().parents[1])
    inherited = os.environ.get("PYTHONPATH", "")
    return {**passed, "PYTHONPATH": f"{home}{os.pathsep}{inherited}" if inherited else home, "PYTHONUNBUFFERED": "1"}
