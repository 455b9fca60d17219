"""Shells in kept pods: who gets one, what is in it, what is shown of it, and how each ends."""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from danube_pkg.adapters.store import SqliteAudit
from danube_pkg.core.errors import Conflict, NotFound, Throttled
from danube_pkg.core.identity.access import LOCAL_ADMINISTRATOR, Actor, ActorKind
from danube_pkg.core.identity.audit import AuditEvent, AuditKeys
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.runtimes.shell_records import TerminalSize, end_of_input, input_of_shell, size_of_terminal
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.jobs import shells as shells_module
from danube_pkg.services.jobs.shells import Shell, ShellCaller, Shells
from tests.fakes.processes import Process
from tests.services.jobs.test_kept_pods import closed, failed_job, machine, short_checks
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

__all__ = ["short_checks"]
SECONDS = 20
SECRET = b"hunter22-hunter22"
ALICE = ShellCaller(Actor("alice", ActorKind.PERSON, "u1"), "192.0.2.1", "request-1")
BUILDER = "gcr.io/kaniko-project/executor:v1"


async def records_of(process: Process) -> AsyncIterator[tuple[str, bytes]]:
    held = b""
    while data := await process.read():
        held += data
        while len(held) >= 5 and len(held) >= 5 + struct.unpack_from("<I", held, 1)[0]:
            size = struct.unpack_from("<I", held, 1)[0]
            yield chr(held[0]), held[5 : 5 + size]
            held = held[5 + size :]


async def echoing(process: Process) -> int:
    """A shell that prints what it is given: its records before the start, then its input, until the end of it."""
    async for kind, text in records_of(process):
        if kind == "I":
            await process.write(text)
        elif kind == "Z":
            return 7
        else:
            await process.write(f"{kind} ".encode() + text + b"\n")
    return 1


class OpenShells:
    """The shells of an engine with a fake machine."""

    def __init__(self, setup: EngineSetup) -> None:
        self.setup = setup
        self.audit = Audit(SqliteAudit(setup.database, bytes(32)), SystemClock(), AuditKeys(bytes(32)))
        work, builds = setup.parts.work, setup.parts.images.builds
        self.shells = Shells(setup.engine, work.ports, work.resources, builds, self.audit, SystemClock())

    async def open(self, job: Job, **changes: object) -> Shell:
        return await self.shells.open(job, ALICE, **changes)  # type: ignore[arg-type]

    async def ends(self) -> list[AuditEvent]:
        return [entry.event for entry in await self.audit.list(action="close-shell")]


@asynccontextmanager
async def open_shells(path: Path) -> AsyncIterator[OpenShells]:
    hosts = machine()
    hosts.commands["danube-step shell"] = echoing
    hosts.images.add(BUILDER)
    async with open_engine_setup(path, hosts, external_url="https://ci.test") as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), SECRET, "me")
        made = OpenShells(setup)
        try:
            yield made
        finally:
            await made.shells.close()


async def all_output(shell: Shell) -> bytes:
    return b"".join([part async for part in shell.output()])


async def test_a_shell_has_the_servers_variables_and_no_secret_and_its_output_is_masked(tmp_path: Path) -> None:
    async with open_shells(tmp_path) as opened:
        job = await failed_job(opened.setup)
        shell = await opened.open(job, terminal=TerminalSize(40, 120), term="xterm")
        reading = asyncio.create_task(all_output(shell), name="output")
        shell.send(input_of_shell(b"echo " + SECRET[:9]))
        shell.send(input_of_shell(SECRET[9:] + b"\n") + size_of_terminal(TerminalSize(41, 121)) + end_of_input())
        shown = await reading
        assert b"E DANUBE_JOB_URL=https://ci.test/jobs/" + job.id.encode() in shown
        assert b"E TERM=xterm\nD /workspace\nW (\x00x\x00\nS \necho ***\nW )\x00y\x00\n" in shown
        assert not re.search(rb"TOKEN|SECRET|PASSWORD|hunter22", shown)
        assert (shell.exit_code, shell.why_ended) == (7, "it exited")
        end = (await opened.ends())[0]
        assert (end.actor, end.target, end.address, end.request_id) == ("alice", job.id, "192.0.2.1", "request-1")
        assert (end.details["exit_code"], end.details["why"], end.details["step"]) == ("7", "it exited", "1")
        with pytest.raises(NotFound, match="has ended"):
            opened.shells.find(shell.id, job, ALICE.actor)


async def test_the_job_stays_as_it_ended_and_its_statement_too(tmp_path: Path) -> None:
    async with open_shells(tmp_path) as opened:
        job = await failed_job(opened.setup)
        log, statement = opened.setup.logs.path(job.id).read_bytes(), await opened.setup.statements.find(job)
        shell = await opened.open(job)
        shell.send(input_of_shell(b"touch artifact\n") + end_of_input())
        await all_output(shell)
        assert opened.setup.engine.active_job(job.id).job == job
        assert opened.setup.logs.path(job.id).read_bytes() == log
        assert await opened.setup.statements.find(job) == statement


async def left(opened: OpenShells, job: Job, shell: Shell) -> None:
    async with aclosing(shell.output()) as parts:
        await anext(parts)


async def removed(opened: OpenShells, job: Job, shell: Shell) -> None:
    await opened.setup.engine.release_pod(job.id)
    await all_output(shell)


async def container_ended(opened: OpenShells, job: Job, shell: Shell) -> None:
    for one in opened.setup.machine.living(job.pod_id):
        one.end(job.reason, "killed")
    await all_output(shell)


async def unread(opened: OpenShells, job: Job, shell: Shell) -> None:
    """Its output is not read."""


async def not_authorised(opened: OpenShells, job: Job, shell: Shell) -> None:
    opened.shells.end(shell, "its user may not use it any more")
    await all_output(shell)


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        (left, "its user left"),
        (removed, "the pod was removed"),
        (container_ended, "it was lost: .*"),
        (unread, "its output was not read"),
        (not_authorised, "its user may not use it any more"),
    ],
    ids=["left", "removed", "container-ended", "unread", "not-authorised"],
)
async def test_each_end_is_recorded_and_leaves_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: Callable[..., object], why: str
) -> None:
    monkeypatch.setattr(shells_module, "ATTACH_SECONDS", 0.2 if leave is unread else 30.0)
    async with open_shells(tmp_path) as opened:
        job = await failed_job(opened.setup)
        shell = await opened.open(job)
        await leave(opened, job, shell)  # type: ignore[misc]
        await wait_until_async(lambda: bool(shell.why_ended) and not opened.shells.count, SECONDS, "the shell to end")
        assert re.fullmatch(why, (await opened.ends())[0].details["why"])


async def test_a_shell_ends_with_the_time_of_its_pod(tmp_path: Path) -> None:
    async with open_shells(tmp_path) as opened:
        job = await failed_job(opened.setup, 1)
        shell = await opened.open(job)
        assert b"S \n" in await all_output(shell)
        assert (await opened.ends())[0].details["why"] in ("its time is over", "the pod was removed")
        await closed(opened.setup, job.id)


async def test_a_shell_is_its_users_alone(tmp_path: Path) -> None:
    async with open_shells(tmp_path) as opened:
        job, other = await failed_job(opened.setup), await failed_job(opened.setup)
        shell = await opened.open(job)
        assert opened.shells.find(shell.id, job, ALICE.actor) is shell
        for which, actor in ((job, LOCAL_ADMINISTRATOR), (other, ALICE.actor)):
            with pytest.raises(NotFound, match="there is no such shell"):
                opened.shells.find(shell.id, which, actor)
        reading = asyncio.create_task(all_output(shell), name="output")
        await wait_until_async(shell.attached.is_set, SECONDS, "the output to be read")
        with pytest.raises(Conflict, match="is read already"):
            await all_output(shell)
        shell.send(end_of_input())
        await reading


async def test_no_shell_for_a_job_that_runs_is_untrusted_or_built_an_image(tmp_path: Path) -> None:
    async with open_shells(tmp_path) as opened:
        running = await opened.setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await opened.setup.engine.active_job(running.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        fork = Trigger("webhook", "mallory", pull_request={"trusted": False, "number": 1})
        untrusted = await failed_job(opened.setup, trigger=fork)
        for job in (opened.setup.engine.active_job(running.id).job, untrusted):
            with pytest.raises(Conflict, match="is not kept"):
                await opened.open(job)
        built = await failed_job(opened.setup, image=BUILDER)
        with pytest.raises(Conflict, match="which builds an image") as refusal:
            await opened.open(built)
        assert "the login of a registry" in refusal.value.cause


async def test_the_number_of_shells_and_what_waits_for_one_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shells_module, "MAX_SHELLS", 1)
    monkeypatch.setattr(shells_module, "MAX_WAITING_INPUT", 100_000)
    async with open_shells(tmp_path) as opened:
        job = await failed_job(opened.setup)
        shell = await opened.open(job)
        with pytest.raises(Throttled, match="has 1 open shells"):
            await opened.open(job)
        shell.send(input_of_shell(b"x" * 90_000))
        with pytest.raises(Throttled, match="has not read its input"):
            shell.send(input_of_shell(b"x" * 90_000))
