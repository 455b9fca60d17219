"""Shells of users in the kept pods of failed jobs.

A shell is a program in the container of a failed step, `danube-step shell`, between two streams of its user. It gets
what the server itself gives to each step, and nothing that the danubefile or a secret gave: that is stored nowhere. Its
output is masked with all values that the job's log masked. It ends with its user's connection, with the pod, and after
an hour; who opens one, and for how long, is in the audit log.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator

from danube_pkg.core.errors import Conflict, NotFound, PlatformError, Throttled
from danube_pkg.core.identity.access import Actor
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.jobs.environment import job_environment
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.kept_pods import not_kept, step_of_shell
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.logs.terminal_mask import TerminalMask
from danube_pkg.core.pipelines import MAX_KEPT_SECONDS
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container
from danube_pkg.core.runtimes.ports import ExecStream
from danube_pkg.core.runtimes.shell_records import TerminalSize, start_of_shell
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, end_all, logged, until
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.supervisor_calls import container_of

MAX_SHELLS = 8
"""Open at once on the server: each is a user who looks into a failed job."""

MAX_WAITING_INPUT = 256 * 1024
"""What a program has not read yet. A user types less; what is piped in waits at the client."""

WAITING_PARTS = 16
"""Parts of output that wait for the user's connection; behind them the program waits."""

PART_BYTES = 32 * 1024

PAUSE_SECONDS = 0.03
"""After it what is held back is shown (see `TerminalMask`). Two key strokes are further apart."""

ATTACH_SECONDS = 30.0
"""A shell whose output is not read for so long after its start is ended."""

_log = logging.getLogger("danube.shells")


class ShellCaller(Record):
    """Who opens a shell, and from where: what the audit log says. request_id: of the request that opens it."""

    actor: Actor
    address: str
    request_id: str


class Shell:
    """One open shell. ends_at: Unix seconds. `output` gives what it prints; `send` takes records for its program."""

    def __init__(self, job: Job, step: Step, caller: ShellCaller, stream: ExecStream, ends_at: float) -> None:
        self.id = secrets.token_hex(16)
        self.job_id = job.id
        self.step = step
        self.caller = caller
        self.stream = stream
        self.ends_at = ends_at
        self.exit_code: int | None = None
        self.why_ended = ""
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(WAITING_PARTS)
        self.attached = asyncio.Event()
        self.left = asyncio.Event()
        self._input = bytearray()
        self._has_input = asyncio.Event()

    def belongs_to(self, actor: Actor) -> bool:
        return (actor.name, actor.user_id) == (self.caller.actor.name, self.caller.actor.user_id)

    def send(self, data: bytes) -> None:
        """Records for the program, of any length. Raises Throttled while it has not read what was sent before."""
        if self._input and len(self._input) + len(data) > MAX_WAITING_INPUT:
            what = "the program in the shell has not read its input yet"
            raise Throttled("shell-input-full", what, retry_seconds=1, hint="send the same again in a moment")
        self._input += data
        self._has_input.set()

    async def write_input(self) -> None:
        """Pass on what is sent, until cancelled. Raises Unavailable once the program reads no more."""
        while True:
            await self._has_input.wait()
            data = bytes(self._input)
            await self.stream.write(data)
            del self._input[: len(data)]
            if not self._input:
                self._has_input.clear()

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What it prints, masked, until it ends. The shell ends when this iterator is closed. Raises Conflict for a
        second reader."""
        if self.attached.is_set():
            what = "the output of this shell is read already"
            raise Conflict("shell-attached", what, hint=f"open another one: danube shell {self.job_id}")
        self.attached.set()
        try:
            while (part := await self._parts.get()) is not None:
                self._room.release()
                yield part
        finally:
            self.left.set()

    async def put(self, part: bytes) -> None:
        """Output for its user; waits while much waits for the connection."""
        if part:
            await self._room.acquire()
            self._parts.put_nowait(part)

    def put_end(self) -> None:
        """There is no more output."""
        self._parts.put_nowait(None)


class Shells:
    """All open shells. resources: what output is masked with. builds: which steps had the login of a registry."""

    def __init__(
        self,
        engine: Engine,
        ports: EnginePorts,
        resources: JobResources,
        builds: ImageBuilds,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._resources = resources
        self._builds = builds
        self._audit = audit
        self._clock = clock
        self._open: dict[str, Shell] = {}
        self._opening = 0
        self._tasks = TaskOwner(logged(_log))

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    async def close(self) -> None:
        """End all of them, since the server stops."""
        await self._tasks.close()

    async def open(
        self, job: Job, caller: ShellCaller, *, step: int = 0, terminal: TerminalSize | None = None, term: str = ""
    ) -> Shell:
        """Start a shell in the container of a step; 0: of the one that failed the job. term: the kind of terminal.

        Raises Conflict, NotFound where there is no shell for that job or step, Throttled above MAX_SHELLS, and what the
        runtime raises.
        """
        chosen = step_of_shell(job, step)
        if self._builds.is_build(chosen.image):
            what = f"there is no shell for step {chosen.sequence} {chosen.name!r}, which builds an image"
            cause = "its container has the login of a registry"
            raise Conflict("shell-in-builder", what, cause=cause, hint=f"danube shell {job.id} --step NUMBER")
        if len(self._open) + self._opening >= MAX_SHELLS:
            what = f"this server has {MAX_SHELLS} open shells"
            raise Throttled("too-many-shells", what, retry_seconds=60, hint="end one: danube audit --action open-shell")
        self._opening += 1
        try:
            return await self._begin(self._engine.active_job(job.id), chosen, caller, terminal, term)
        finally:
            self._opening -= 1

    async def _begin(
        self, active: ActiveJob, step: Step, caller: ShellCaller, terminal: TerminalSize | None, term: str
    ) -> Shell:
        job = active.job
        patterns = await self._resources.shell_patterns(active)
        container = await self._container(job, step)
        if (kept_until := active.job.kept_until) is None:  # it was released meanwhile
            raise not_kept(active.job)
        stream = await self._ports.runtime.exec(container, (SUPERVISOR, "shell"))
        ends_at = min(kept_until, self._clock.now() + MAX_KEPT_SECONDS)
        shell = Shell(job, step, caller, stream, ends_at)
        environment = {**job_environment(job, self._ports.external_url), **({"TERM": term} if term else {})}
        shell.send(start_of_shell(environment, "/workspace", terminal))
        self._open[shell.id] = shell
        self._tasks.start(f"shell {shell.id}", self._run(active, shell, TerminalMask(patterns)))
        return shell

    async def _container(self, job: Job, step: Step) -> Container:
        """That of the step; a new one of its image where it has ended, as one that was killed for memory."""
        known = container_of(job.pod_id, step)
        for pod in await self._ports.runtime.list_pods():
            if pod.pod_id == job.pod_id:
                for one in pod.containers:
                    if one.number == known.number:
                        return one
        rebuild = job.trigger.rebuild
        image = rebuild.pinned(step.image) if rebuild is not None else step.image
        return await self._ports.runtime.ensure_container(job.pod_id, image, (), step.isolation)

    def find(self, shell_id: str, job: Job, actor: Actor) -> Shell:
        """Raises NotFound for one that has ended, that is of another job, or that another user has opened."""
        shell = self._open.get(shell_id)
        if shell is None or shell.job_id != job.id or not shell.belongs_to(actor):
            hint = f"open another one: danube shell {job.id}"
            raise NotFound("shell-unknown", "there is no such shell, or it has ended", hint=hint)
        return shell

    def end(self, shell: Shell, why: str) -> None:
        """End it with all that runs in it."""
        shell.why_ended = shell.why_ended or why
        shell.left.set()

    # --- one shell

    async def _run(self, active: ActiveJob, shell: Shell, mask: TerminalMask) -> None:
        began = self._clock.monotonic()
        try:
            await until(self._ending(active, shell), self._serve(shell, mask), name=f"shell {shell.id}")
        except PlatformError as error:
            shell.why_ended = shell.why_ended or f"it was lost: {error}"
        except asyncio.CancelledError:
            shell.why_ended = "the server stops"
            raise
        finally:
            try:
                await shell.stream.close()
                await self._record_end(shell, self._clock.monotonic() - began)
            finally:
                del self._open[shell.id]
                shell.put_end()

    async def _serve(self, shell: Shell, mask: TerminalMask) -> None:
        """Until the program has ended and its output is passed on."""
        await until(shell.write_input(), self._pass_output(shell, mask), name=f"output of shell {shell.id}")
        shell.exit_code = await shell.stream.wait()
        shell.why_ended = "it exited"

    async def _pass_output(self, shell: Shell, mask: TerminalMask) -> None:
        reading = self._tasks.start(f"read {shell.id}", shell.stream.read())
        try:
            while True:
                done, _ = await asyncio.wait((reading,), timeout=PAUSE_SECONDS if mask.is_holding else None)
                if not done:
                    await shell.put(mask.after_pause())
                    continue
                if not (data := reading.result()):
                    await shell.put(await asyncio.to_thread(mask.end))
                    return
                for at in range(0, len(data), PART_BYTES):
                    await shell.put(await asyncio.to_thread(mask.feed, data[at : at + PART_BYTES]))
                reading = self._tasks.start(f"read {shell.id}", shell.stream.read())
        finally:
            if not reading.done():
                await end_all(reading)

    async def _ending(self, active: ActiveJob, shell: Shell) -> None:
        """Until it must end, whatever its program does."""
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                await until(shell.left.wait(), shell.attached.wait(), name=f"user of shell {shell.id}")
        except TimeoutError:
            shell.why_ended = "its output was not read"
            return
        try:
            async with asyncio.timeout(max(0.0, shell.ends_at - self._clock.now())):
                released = active.wait_until(lambda job: not job.keeps_pod)
                await until(shell.left.wait(), released, name=f"end of shell {shell.id}")
        except TimeoutError:
            shell.why_ended = "its time is over"
            return
        shell.why_ended = shell.why_ended or ("its user left" if active.job.keeps_pod else "the pod was removed")

    async def _record_end(self, shell: Shell, seconds: float) -> None:
        caller = shell.caller
        details = {"shell": shell.id, "step": str(shell.step.sequence), "seconds": f"{seconds:.0f}"}
        details |= {"exit_code": str(shell.exit_code), "why": shell.why_ended}
        event = AuditEvent(
            at=0.0,
            actor=caller.actor.name,
            action="close-shell",
            target=shell.job_id,
            address=caller.address,
            request_id=caller.request_id,
            details=details,
        )
        await self._audit.record(event)
