"""Restores and keeps snapshots of steps. `core.caches.snapshots` has the rules; they are stored as caches are.

A restore is recorded before its first byte. What goes wrong before anything was changed is a line in the job's log,
and the step runs. Where it is not known what was changed, the step ends with `infrastructure-lost`: a command must not
run on the half of what another one has left.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from danube_pkg.core.caches.cache import CacheEntry, CacheRequest
from danube_pkg.core.caches.snapshots import (
    SnapshotPlace,
    snapshot_after_secret,
    snapshot_parts,
    snapshot_problem,
    snapshot_request,
)
from danube_pkg.core.errors import Conflict, Permanent, PlatformError, TooLarge
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.step_records import restored_end
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import Container
from danube_pkg.core.runtimes.ports import ExecStream
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import until
from danube_pkg.services.caches import Caches, FoundCache
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.default_branches import DefaultBranches
from danube_pkg.services.jobs.job_text import JobText
from danube_pkg.services.jobs.log_lines import write_snapshot, write_step_end, write_step_start
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.snapshot_transfer import (
    UNCHANGED,
    KeptOutput,
    applied,
    begin_capture,
    captured,
    output_before,
)
from danube_pkg.services.jobs.waits import Waits
from danube_pkg.services.snapshot_proofs import SnapshotProofs

SCAN_SECONDS = 60.0
"""For all files of a container before its step; a million take some seconds."""

CAPTURE_SECONDS = 600.0
"""For what the step has changed: ten gigabytes of dependencies on a slow disk."""

_log = EventLog("danube.snapshots")


class _Wanted(Record):
    """A step that may be restored or kept. family: what must be equal besides the author's key."""

    request: CacheRequest
    family: str
    place: SnapshotPlace
    container: Container


class JobSnapshots:
    """For all jobs. proofs: verifies the job that a snapshot is of."""

    def __init__(
        self,
        ports: EnginePorts,
        resources: JobResources,
        waits: Waits,
        caches: Caches,
        branches: DefaultBranches,
        proofs: SnapshotProofs,
    ) -> None:
        self._ports = ports
        self._resources = resources
        self._waits = waits
        self._caches = caches
        self._branches = branches
        self._proofs = proofs

    async def prepare(
        self, active: ActiveJob, step: Step, request: StepRequest, container: Container, image_digest: str
    ) -> bool:
        """Before a step with a snapshot is placed. True where it was restored, and has ended; otherwise what it changes
        will be kept, unless something is in the way. Raises Permanent `infrastructure-lost`."""
        place = SnapshotPlace(container.number, image_digest)
        problem = self._problem(active, step, place)
        if problem:
            await self._note(active, step, "restored", f"neither restored nor kept: {problem}")
            return False
        uses = await self._caches.uses_of(active.job.id)
        variables = {**active.job.settings.environment, **request.environment}
        parts = snapshot_parts(active.job, step, request, place, variables, uses)
        family = self._ports.keys.snapshot_hash(parts)
        wanted = _Wanted(snapshot_request(step, request), family, place, container)
        begun = next((one.sha256 for one in uses if one.step == step.sequence), "")
        try:
            if await self._restored(active, step, wanted, begun):
                return True
        except PlatformError as error:
            if begun or error.reference == Reason.INFRASTRUCTURE_LOST:
                raise _lost(str(error)) from error
            await self._note(active, step, "restored", f"not restored: {error}")
        if begun:
            raise _lost("an earlier restore of it may have been interrupted")
        await self._begin(active, step, wanted)
        return False

    async def output_of(self, step: Step) -> bytes | None:
        """What a restored step shows of its output, for a call that is repeated after a restart; None where its
        snapshot was removed since."""
        with contextlib.suppress(PlatformError):
            async with aclosing(self._caches.read(step.snapshot)) as chunks:
                return (await output_before(chunks))[0].data
        return None

    # --- restore

    async def _restored(self, active: ActiveJob, step: Step, wanted: _Wanted, begun: str) -> bool:
        """False where nothing was changed. Raises PlatformError, as well before anything was changed."""
        default_branch = partial(self._branches.of, active.job)
        found = await self._caches.find(active.job, wanted.request, wanted.family, default_branch)
        if found is None or (begun and found.entry.sha256 != begun):
            await self._note(active, step, "restored", f"nothing is kept for key {wanted.request.key}")
            return False
        refusal = await self._proofs.refusal(found.entry)
        if refusal is not None:
            if refusal.for_good:
                await self._caches.drop(found.entry)
            await self._note(active, step, "restored", f"not restored: {refusal.why}")
            return False
        if found.entry.size_bytes > active.job.settings.workspace_size_gb << 30:
            raise TooLarge("cache-too-large", "it is larger than the pod may write", hint="raise workspace_size_gb")
        return await self._apply(active, step, wanted, found)

    async def _apply(self, active: ActiveJob, step: Step, wanted: _Wanted, found: FoundCache) -> bool:
        entry = found.entry

        tries = 0

        async def once() -> tuple[int, str, KeptOutput]:
            nonlocal tries
            tries += 1
            async with aclosing(await self._caches.use(active.job, wanted.request, found)) as chunks:
                output, first = await output_before(chunks)
                return (*(await applied(self._ports.runtime, wanted.container, first, chunks)), output)

        began = self._ports.clock.monotonic()
        try:
            code, cause, output = await self._waits.until_done(
                active, "the restore of a snapshot", once, Reason.INFRASTRUCTURE_LOST
            )
        except PlatformError as error:
            if error.reference == "too-many-caches":
                raise
            if error.reference != "cache-damaged":
                raise _lost(str(error)) from error
            await self._caches.drop(entry)
            code, cause, output = UNCHANGED[0], str(error), KeptOutput(b"", 0)
        if code in UNCHANGED and tries == 1:
            await self._caches.forget_use(active.job, step.sequence)
            await self._note(active, step, "restored", f"not restored, and nothing is changed: {cause}")
            return False
        if code:
            raise _lost(cause)
        seconds = self._ports.clock.monotonic() - began
        text = f"restored from job {entry.job_id}: {entry.size_bytes} bytes in {seconds:.2f} s"
        await self._note(active, step, "restored", text)
        await self._end(active, step, wanted, entry, output)
        return True

    async def _end(self, active: ActiveJob, step: Step, wanted: _Wanted, entry: CacheEntry, output: KeptOutput) -> None:
        """Its output as that job's log has it, then its end. Repeated after a failure, it continues."""
        log = await self._resources.log(active)
        write_step_start(log, step.sequence, step.attempt, step.name, step.image)
        shown = log.step_output(step.sequence, step.attempt)
        await shown.write(0, output.data)
        await shown.end()
        active.steps.keep_output(step.sequence, step.attempt, output.data)
        end = restored_end(entry.job_id, max(output.total_bytes, len(output.data)))
        place = wanted.place
        await active.apply(
            ev.StepRestored(
                step.sequence, step.attempt, place.container, place.image_digest, entry.sha256, entry.job_id, end
            )
        )
        write_step_end(log, active.step(step.sequence), step.attempt, end)

    # --- keep

    def _problem(self, active: ActiveJob, step: Step, place: SnapshotPlace) -> str:
        if self._caches.are_local:
            return "danube run has no signed records of earlier jobs"
        if self._ports.runtime.name == "kubernetes":
            return "the runtime kubernetes has no snapshots"
        if active.restores_begun != active.restores_ended:
            return "a cache is restored at the same time"
        return snapshot_problem(active.job, step, place)

    async def _begin(self, active: ActiveJob, step: Step, wanted: _Wanted) -> None:
        """Note what is in the container. A failure is a line in the log."""
        if (former := active.captures.pop(step.sequence, None)) is not None:
            await former.close()
        try:
            if await self._caches.is_withheld(active.job):
                raise snapshot_after_secret()
            if await self._caches.is_known(active.job, wanted.request, wanted.family):
                what = "another one of this key is kept already, and could not be restored"
                raise Conflict("snapshot-known", what, hint=f"danube caches list {active.job.pipeline}")
            async with asyncio.timeout(SCAN_SECONDS):
                stream = await begin_capture(self._ports.runtime, wanted.container)
        except (PlatformError, TimeoutError) as error:
            await self._note(active, step, "kept", f"not kept: {error or f'no answer within {SCAN_SECONDS:.0f} s'}")
            return
        active.captures[step.sequence] = StepCapture(self, active, wanted, stream)

    async def keep(
        self, active: ActiveJob, step: Step, wanted: _Wanted, stream: ExecStream, output: KeptOutput
    ) -> CacheEntry | None:
        """Store it in the job's own scope; None where its key was stored meanwhile. Raises PlatformError."""

        async def masked() -> AsyncGenerator[bytes, None]:
            text = JobText(await self._resources.log(active)).masked(output.data.decode(errors="replace"))
            async with aclosing(captured(stream, KeptOutput(text.encode(), output.total_bytes))) as chunks:
                async for data in chunks:
                    yield data

        def check_wanted() -> None:
            if active.job.phase is not Phase.RUNNING or active.job.is_ending:
                raise Conflict("job-ending", f"{active.job.label} is ending", hint="danube rerun JOB")

        async with aclosing(masked()) as chunks:
            return await self._caches.keep(active.job, wanted.request, wanted.family, step.image, chunks, check_wanted)

    def problem_of_end(self, active: ActiveJob, step: Step, wanted: _Wanted) -> str:
        """As `snapshot_problem`, when the step has ended."""
        return self._problem(active, step, wanted.place)

    async def _note(self, active: ActiveJob, step: Step, done: str, text: str) -> None:
        """A log that cannot be written does not fail the step."""
        with contextlib.suppress(PlatformError):
            write_snapshot(await self._resources.log(active), step, done, text)

    async def note_kept(self, active: ActiveJob, step: Step, text: str) -> None:
        await self._note(active, step, "kept", text)


class StepCapture:
    """`services.jobs.active_job.Capture`: `danube-step capture` in the container of one step."""

    def __init__(self, snapshots: JobSnapshots, active: ActiveJob, wanted: _Wanted, stream: ExecStream) -> None:
        self._snapshots = snapshots
        self._active = active
        self._wanted = wanted
        self._stream = stream
        self._before = self._counts()

    async def keep(self, step: Step, end: StepEnd, output: bytes | None) -> str:
        """See `Capture`."""
        try:
            if end.status is not Status.SUCCESS:
                return ""
            problem = self._snapshots.problem_of_end(self._active, step, self._wanted)
            if problem or output is None or self._counts() != self._before:
                why = problem or ("its output was lost" if output is None else "something else ran at the same time")
                await self._snapshots.note_kept(self._active, step, f"not kept: {why}")
                return ""
            return await self._keep(step, KeptOutput(output, end.output_bytes))
        finally:
            await self.close()

    async def _keep(self, step: Step, output: KeptOutput) -> str:
        ending = self._active.wait_until(lambda job: job.phase is not Phase.RUNNING or job.is_ending)

        async def working() -> CacheEntry | PlatformError | OSError | None:
            try:
                async with asyncio.timeout(CAPTURE_SECONDS):
                    return await self._snapshots.keep(self._active, step, self._wanted, self._stream, output)
            except (PlatformError, OSError) as error:  # TimeoutError is one
                return error

        result = await until(ending, working(), name=f"snapshot {step.id}")
        if isinstance(result, CacheEntry):
            await self._snapshots.note_kept(self._active, step, f"kept {result.size_bytes} bytes, key {result.key}")
            return result.sha256
        why = str(result) or "it took too long" if result is not None else "the job is ending, or another job was first"
        _log.info("snapshot-not-kept", job=self._active.job.id, step=step.sequence, cause=why)
        await self._snapshots.note_kept(self._active, step, f"not kept: {why}")
        return ""

    async def close(self) -> None:
        """See `Capture`."""
        await self._stream.close()

    def _counts(self) -> tuple[int, int]:
        """More at the end mean that something else may have changed files meanwhile."""
        return len(self._active.job.steps), self._active.restores_begun


def _lost(cause: str) -> Permanent:
    return Permanent(
        Reason.INFRASTRUCTURE_LOST,
        "it is not known whether its snapshot was restored whole",
        cause=cause,
        hint="danube rerun JOB",
    )
