"""Shells in the kept pods of failed jobs: `core.jobs.kept_pods` has who gets one.

A shell is two streams over ordinary requests, which every proxy passes: its output as server-sent events, and POSTs
with what is typed. Only the opening and the end are audited, not each of these.
"""

import asyncio
from base64 import b64encode
from contextlib import aclosing
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.runtimes.shell_records import TerminalSize, end_of_input, input_of_shell, size_of_terminal
from danube_pkg.edges.http.resources.events import HEADERS, HEARTBEAT, HEARTBEAT_SECONDS, LiveResource
from danube_pkg.edges.http.resources.job_stream import event
from danube_pkg.edges.http.server.messages import Frame, Request, Response, Sink, Stream
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import client_address
from danube_pkg.edges.http.views.jobs import JobSummary, job_summary
from danube_pkg.edges.http.views.shells import ShellView, shell_view
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.jobs.shells import Shell, ShellCaller

SHELL_PATTERN = r"[0-9a-f]{32}"

MAX_TYPED_BYTES = 60 * 1024

MAX_CHARACTERS = 5000
"""Rows and columns of a terminal."""


class ShellRequest(Record):
    """Where a shell is opened, and how its user sees it."""

    step: Annotated[
        int, rule("The step in whose container; 0: the step that failed the job.", at_least=0, at_most=100_000)
    ] = 0
    rows: Annotated[int, rule("Rows of the user's terminal; 0 without one.", at_least=0, at_most=MAX_CHARACTERS)] = 0
    columns: Annotated[
        int, rule("Columns of the user's terminal; 0 without one.", at_least=0, at_most=MAX_CHARACTERS)
    ] = 0
    term: Annotated[str, rule("The kind of terminal, as TERM.", pattern=r"[A-Za-z0-9._+-]{0,64}")] = ""


class JobShells(Resource):
    """`/api/v1/jobs/{job}/shells`."""

    async def close(self) -> None:
        await self.services.jobs.shells.close()

    @answers(201, refuses=(409, 429, 503))
    async def POST(self, request: Request, body: ShellRequest) -> ShellView:
        """Open a shell in the kept pod of a failed job. It ends unless its output is read within 30 s."""
        caller = ShellCaller(request.actor, client_address(request, self.services.site), request.request_id)
        terminal = TerminalSize(body.rows, body.columns) if body.rows and body.columns else None
        job = request.job
        shell = await self.services.jobs.shells.open(job, caller, step=body.step, terminal=terminal, term=body.term)
        return shell_view(shell)


class ShellInputQuery(Record):
    """What else than input."""

    end: Annotated[bool, rule("Whether no input follows.")] = False
    rows: Annotated[
        int, rule("Rows that the terminal has from now on; 0: as before.", at_least=0, at_most=MAX_CHARACTERS)
    ] = 0
    columns: Annotated[
        int, rule("Columns that it has from now on; 0: as before.", at_least=0, at_most=MAX_CHARACTERS)
    ] = 0


class ShellInput(Resource):
    """`/api/v1/jobs/{job}/shells/{shell}/input`."""

    @answers(204, takes="application/octet-stream", refuses=(413, 429))
    async def POST(self, request: Request, query: ShellInputQuery) -> Response:
        """Send what was typed, at most 60 KiB, to a shell that the caller has opened."""
        shell = self.services.jobs.shells.find(request.arguments["shell"], request.job, request.actor)
        data = input_of_shell(await request.read_body(MAX_TYPED_BYTES))
        if query.rows and query.columns:
            data += size_of_terminal(TerminalSize(query.rows, query.columns))
        shell.send(data + (end_of_input() if query.end else b""))
        return Response(204)


class ShellOutput(LiveResource):
    """`/api/v1/jobs/{job}/shells/{shell}/output`."""

    @answers(200, content="text/event-stream")
    async def GET(self, request: Request) -> Response:
        """`output` events with what the shell prints, in base64 and with secrets masked, and `end`. The shell ends with
        this stream."""
        shell = self.services.jobs.shells.find(request.arguments["shell"], request.job, request.actor)
        return Response(200, _ShellStream(self, request, shell), HEADERS)

    async def follow(self, request: Request, shell: Shell, sender: Sink) -> None:
        """Until the shell has ended; it ends when its user may not use it any more."""

        async def reauthorise() -> None:
            try:
                await self.authorise_again(request)
            except PlatformError:
                self.services.jobs.shells.end(shell, "its user may not use it any more")

        async def beat() -> None:
            while True:
                await asyncio.sleep(HEARTBEAT_SECONDS)
                await reauthorise()
                sender.write(HEARTBEAT)

        with self.tracked(request, reauthorise):
            beating = self.start(f"heartbeat of shell {shell.id}", beat())
            try:
                async with aclosing(shell.output()) as parts:
                    async for part in parts:
                        sender.write(Frame(event("output", {"base64": b64encode(part).decode()})))
                        await sender.drain()
            finally:
                await end_all(beating)
        sender.write(Frame(event("end", {"exit_code": shell.exit_code, "why": shell.why_ended})))


class _ShellStream(Stream):
    def __init__(self, resource: ShellOutput, request: Request, shell: Shell) -> None:
        self._resource = resource
        self._request = request
        self._shell = shell

    async def run(self, sender: Sink) -> None:
        await self._resource.follow(self._request, self._shell, sender)


class JobPod(Resource):
    """`/api/v1/jobs/{job}/pod`."""

    @answers(202, refuses=(409,))
    async def DELETE(self, request: Request) -> JobSummary:
        """Remove the kept pod of a failed job before its time is over; shells in it end."""
        return job_summary(await self.services.jobs.engine.release_pod(request.job.id))
