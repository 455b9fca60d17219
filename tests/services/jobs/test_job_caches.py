"""Caches of jobs, with attempts to make a job restore what it must not: never a wrong hit, and no failure of a job."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from danube_pkg.adapters.store import SqliteCacheUses
from danube_pkg.core.caches.cache import CacheRequest
from danube_pkg.core.caches.outcome import CacheOutcome, CacheResult
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.errors import Conflict, Invalid
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import approve
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Process
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

MAIN = Revision("1" * 40, "refs/heads/main", branch="main")
TOPIC = Revision("2" * 40, "refs/heads/topic", branch="topic")
OTHER = Revision("3" * 40, "refs/heads/other", branch="other")
TAG = Revision("4" * 40, "refs/tags/main", tag="main")
FORK_5: Mapping[str, Any] = {"number": 5, "trusted": False, "fork": True}
FORK_6: Mapping[str, Any] = {"number": 6, "trusted": False, "fork": True}
HIT, MISS, OLDER, STORED, KNOWN = (
    CacheOutcome.HIT,
    CacheOutcome.MISS,
    CacheOutcome.FALLBACK,
    CacheOutcome.STORED,
    CacheOutcome.KNOWN,
)
END = b"<end>"
"""Without it an archive is incomplete, as the real one is without its last record."""

REQUEST = CacheRequest(1, "pip", "k", ("deps",))


@dataclass
class CacheSetup:
    """files: the content at the path of the cache, by pod. code: what `danube-step` exits with."""

    setup: EngineSetup
    machine: FakeMachine
    path: Path
    files: dict[str, bytes] = field(default_factory=dict)
    code: int = 0
    held: asyncio.Event | None = None

    async def pack(self, process: Process) -> int:
        content = self.files.get(process.container.pod_id)
        if content is not None:
            await process.write(content + END)
        if self.held is not None:
            await self.held.wait()
        return 3 if content is None else self.code

    async def unpack(self, process: Process) -> int:
        content = b""
        while data := await process.read():
            content += data
        if self.code or not content.endswith(END):
            return 1
        self.files[process.container.pod_id] = content.removesuffix(END)
        return 0

    async def start(self, revision: Revision, pull_request: Mapping[str, Any] | None = None, **settings: Any) -> Job:
        """A running job; each has an empty container."""
        pipeline = replace(PIPELINE, settings=replace(PIPELINE.settings, **settings))
        job = await self.setup.engine.submit(pipeline, Trigger("webhook", "me", revision, pull_request=pull_request))
        if job.trigger.is_untrusted:
            await approve(self.setup.engine, job, revision.commit_sha, "admin")
        await self.setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        return self.job(job.id)

    def job(self, job_id: str) -> Job:
        return self.setup.engine.active_job(job_id).job

    async def restore(self, job: Job, request: CacheRequest = REQUEST) -> tuple[CacheOutcome, bytes | None]:
        """How it ended, and what is at the path then."""
        self.files.pop(job.pod_id, None)
        result = await self.setup.coordination.restore_cache(job.id, request)
        return result.outcome, self.files.get(job.pod_id)

    async def save(self, job: Job, content: bytes, request: CacheRequest = REQUEST) -> CacheOutcome:
        self.files[job.pod_id] = content
        result: CacheResult = await self.setup.coordination.save_cache(job.id, request)
        return result.outcome

    async def kept_by(
        self, revision: Revision, content: bytes, pull_request: Mapping[str, Any] | None = None, **settings: Any
    ) -> CacheOutcome:
        """A new job saves that content."""
        return await self.save(await self.start(revision, pull_request, **settings), content)

    async def found_by(
        self, revision: Revision, pull_request: Mapping[str, Any] | None = None, **settings: Any
    ) -> bytes | None:
        """What a new job restores."""
        outcome, content = await self.restore(await self.start(revision, pull_request, **settings))
        assert (outcome is HIT) == (content is not None)
        return content

    async def lines(self, job: Job) -> list[str]:
        """The log's lines about caches."""
        text = (self.path / "logs" / f"{job.id}.log").read_text()
        return [
            line.split(" ", 1)[1] if line[:1].isdigit() else line for line in text.splitlines() if "--- cache" in line
        ]

    def contents(self) -> list[Path]:
        """The files of the store, those that are being received included."""
        return [one for one in (self.path / "caches").rglob("*") if one.is_file()]

    def limit(self, gigabytes: int) -> None:
        self.setup.applied.replace(
            State(ConfigSpec(max_caches_gb_per_pipeline=gigabytes, max_concurrent_jobs=50)), Applied()
        )


@pytest_asyncio.fixture
async def caches(tmp_path: Path) -> AsyncIterator[CacheSetup]:
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine) as setup:
        made = CacheSetup(setup, machine, tmp_path)
        machine.commands["danube-step pack /workspace/deps"] = made.pack
        machine.commands["danube-step unpack /workspace/deps"] = made.unpack
        setup.limit(30)
        yield made


async def test_a_branch_reads_its_own_then_the_default_branch(caches: CacheSetup) -> None:
    assert await caches.found_by(TOPIC) is None
    assert await caches.kept_by(MAIN, b"main") is STORED
    assert await caches.found_by(TOPIC) == b"main"
    assert await caches.kept_by(TOPIC, b"topic") is STORED
    assert await caches.found_by(TOPIC) == b"topic"
    assert await caches.found_by(OTHER) == b"main"
    assert await caches.found_by(MAIN) == b"main"


async def test_the_default_branch_and_tags_never_read_what_others_kept(caches: CacheSetup) -> None:
    for number, (revision, request) in enumerate([(TOPIC, None), (TAG, None), (MAIN, FORK_5), (TOPIC, FORK_6)]):
        assert await caches.kept_by(revision, b"poison %d" % number, request) is STORED
    assert await caches.found_by(MAIN) is None
    assert await caches.kept_by(MAIN, b"main") is STORED
    assert await caches.found_by(MAIN) == b"main"
    assert await caches.found_by(TAG) == b"poison 1"  # its own
    assert await caches.found_by(Revision("9" * 40, "refs/tags/v9", tag="v9")) is None


async def test_forks_read_and_write_their_own_and_never_anothers(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"fork 5", FORK_5) is STORED  # a fork's branch may be named main
    assert await caches.found_by(MAIN, FORK_5) == b"fork 5"
    assert await caches.found_by(MAIN, FORK_6) is None
    assert await caches.found_by(MAIN) is None
    assert await caches.found_by(TOPIC) is None
    trusted = {"number": 5, "trusted": True}
    assert await caches.found_by(MAIN, trusted) is None  # the same number, pushed by a member meanwhile
    assert await caches.kept_by(MAIN, b"main") is STORED
    assert await caches.found_by(MAIN, FORK_6) == b"main"
    assert await caches.found_by(MAIN, FORK_5) == b"fork 5"


async def test_a_fork_reads_nothing_that_was_kept_after_a_secret(caches: CacheSetup) -> None:
    await caches.setup.secrets.set(SecretName(None, "TOKEN"), b"a-secret-value", "me")
    job = await caches.start(MAIN)
    await caches.setup.coordination.read_secret(job.id, 1, "TOKEN")
    assert await caches.save(job, b"may hold the token") is STORED
    assert await caches.found_by(MAIN, FORK_5) is None
    assert await caches.found_by(TOPIC) == b"may hold the token"


async def test_a_secret_is_not_passed_on_by_a_job_that_restored_it(caches: CacheSetup) -> None:
    await caches.setup.secrets.set(SecretName(None, "TOKEN"), b"a-secret-value", "me")
    first = await caches.start(MAIN)
    await caches.setup.coordination.read_secret(first.id, 1, "TOKEN")
    assert await caches.save(first, b"may hold the token") is STORED
    second = await caches.start(MAIN)
    assert (await caches.restore(second))[0] is HIT
    other = replace(REQUEST, sequence=2, key="other")
    assert await caches.save(second, b"may hold it too", other) is STORED
    fork = await caches.start(MAIN, FORK_5)
    assert await caches.restore(fork, other) == (MISS, None)
    assert await caches.restore(fork, replace(other, sequence=3, key="x", fallback=("",))) == (MISS, None)


async def test_a_job_with_an_identity_token_keeps_nothing_for_forks(caches: CacheSetup) -> None:
    job = await caches.start(MAIN)
    uses = SqliteCacheUses(caches.setup.database)
    assert not await uses.is_withheld(job.id)
    await uses.withhold(job.id)
    assert await caches.save(job, b"bought with a token") is STORED
    assert await caches.found_by(MAIN, FORK_5) is None


async def test_changed_inputs_are_misses(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"main") is STORED
    job = await caches.start(MAIN)
    caches.machine.commands["danube-step unpack /workspace/other"] = caches.unpack
    for changes in ({"key": "k2"}, {"name": "npm"}, {"paths": ("other",)}, {"image": "python:3.12"}):
        assert await caches.restore(job, replace(REQUEST, **changes)) == (MISS, None)
    for settings in ({"repository": "elsewhere"}, {"run_as_root": True}, {"image": "python:3.12"}):
        assert await caches.found_by(MAIN, **settings) is None
    assert await caches.found_by(MAIN) == b"main"


async def test_a_key_is_written_once(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"first") is STORED
    assert await caches.kept_by(MAIN, b"second") is KNOWN
    assert await caches.found_by(MAIN) == b"first"


async def test_of_parallel_jobs_one_keeps_its_content_whole(caches: CacheSetup) -> None:
    jobs = [await caches.start(MAIN) for _ in range(4)]
    caches.held = asyncio.Event()
    contents = [bytes([letter]) * 100_000 for letter in b"abcd"]
    saves = [asyncio.create_task(caches.save(job, one), name=job.id) for job, one in zip(jobs, contents, strict=True)]
    await wait_until_async(lambda: len(caches.contents()) == 4, 10, "four archives that are being received")
    assert await caches.found_by(MAIN) is None  # nothing is half there
    caches.held.set()
    caches.held = None
    outcomes = await asyncio.gather(*saves)
    assert sorted(outcomes) == [KNOWN, KNOWN, KNOWN, STORED]
    assert await caches.found_by(MAIN) == contents[outcomes.index(STORED)]
    assert len(caches.contents()) == 1


async def test_a_job_that_ends_while_it_saves_leaves_nothing(caches: CacheSetup) -> None:
    job = await caches.start(MAIN)
    caches.held = asyncio.Event()
    saving = asyncio.create_task(caches.save(job, b"half of it"), name="save")
    await wait_until_async(lambda: bool(caches.contents()), 10, "an archive that is being received")
    await caches.setup.engine.cancel(job.id, "me")
    with pytest.raises(Conflict):
        await saving
    caches.held = None
    assert caches.contents() == []
    assert await caches.found_by(MAIN) is None


async def test_a_writer_that_fails_leaves_nothing_and_does_not_fail_the_job(caches: CacheSetup) -> None:
    job = await caches.start(MAIN)
    caches.code = 1
    assert await caches.save(job, b"files\ndanube-step: pack: a: changed while it was read") is MISS
    caches.code = 0
    assert await caches.lines(job) == [
        "--- cache pip: not stored: its files could not be read: a: changed while it was read<end>"
    ]
    assert caches.contents() == []
    assert (job.phase, await caches.found_by(MAIN)) == (Phase.RUNNING, None)


async def test_a_container_that_ends_while_it_restores_is_a_miss(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"main") is STORED
    job = await caches.start(MAIN)
    caches.code = 1
    assert await caches.restore(job) == (MISS, None)
    caches.code = 0
    assert await caches.restore(job, replace(REQUEST, sequence=2)) == (HIT, b"main")


async def test_damaged_bytes_are_a_miss_and_removed(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"main") is STORED
    (file,) = caches.contents()
    file.write_bytes(b"evil")
    job = await caches.start(MAIN)
    assert await caches.restore(job) == (MISS, None)
    assert caches.contents() == []
    (line,) = await caches.lines(job)
    assert "not restored: the stored cache cannot be used" in line
    assert await caches.save(job, b"main") is STORED
    assert await caches.found_by(MAIN) == b"main"


async def test_each_call_leaves_one_line(caches: CacheSetup) -> None:
    job = await caches.start(MAIN)
    await caches.restore(job)
    await caches.save(job, b"main")
    await caches.save(job, b"main")
    second = await caches.start(MAIN)
    await caches.restore(second)
    await caches.restore(second)  # repeated, as after a lost connection
    await caches.restore(second, replace(REQUEST, sequence=2, key="new", fallback=("",)))
    assert await caches.lines(job) == [
        "--- cache pip: nothing is stored for key k",
        "--- cache pip: stored 9 bytes, key k",
    ]
    assert await caches.lines(second) == [
        f"--- cache pip: restored key k (9 bytes of job {job.id})",
        f"--- cache pip: restored the older key k (9 bytes of job {job.id}), for new",
    ]


async def test_a_pipeline_without_caches_restores_and_keeps_none(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"main") is STORED
    job = await caches.start(MAIN, cache=False)
    assert await caches.restore(job) == (CacheOutcome.OFF, None)
    assert await caches.save(job, b"other", replace(REQUEST, key="new")) is CacheOutcome.OFF
    assert await caches.lines(job) == ["--- cache pip: off for this pipeline (cache: off)"] * 2


async def test_a_fallback_restores_the_newest_older_key(caches: CacheSetup) -> None:
    for key in ("v1-a", "v1-b", "v2-c"):
        assert await caches.save(await caches.start(MAIN), key.encode(), replace(REQUEST, key=key)) is STORED
    job = await caches.start(TOPIC)
    wanted = replace(REQUEST, key="v1-new", fallback=("v1-",))
    assert await caches.restore(job, wanted) == (OLDER, b"v1-b")
    assert await caches.restore(job, replace(wanted, fallback=("v1_",))) == (MISS, None)
    assert await caches.restore(job, replace(wanted, fallback=("v3", ""))) == (OLDER, b"v2-c")


async def test_a_repository_that_does_not_answer_costs_a_miss(caches: CacheSetup) -> None:
    assert await caches.kept_by(MAIN, b"main") is STORED
    job = await caches.start(TOPIC)
    caches.setup.sources.failure = Conflict("source-unavailable", "the forge is down")
    assert await caches.restore(job) == (MISS, None)
    caches.setup.sources.failure = None
    assert await caches.restore(job) == (HIT, b"main")


async def test_what_no_cache_can_have_is_refused(caches: CacheSetup) -> None:
    await caches.setup.secrets.set(SecretName(None, "TOKEN"), b"a-secret-value", "me")
    job = await caches.start(MAIN)
    for changes in ({"paths": ("/",)}, {"key": "has a-secret-value"}, {"image": "a-secret-value"}, {"name": ".x"}):
        with pytest.raises(Invalid):
            await caches.restore(job, replace(REQUEST, **changes))
    await caches.setup.coordination.finish(job.id, ScriptFailure(Reason.SCRIPT_ERROR, "x", 0))
    with pytest.raises(Conflict):
        await caches.restore(job)


async def test_what_a_job_restored_is_in_its_statement(caches: CacheSetup) -> None:
    first = await caches.start(MAIN)
    assert await caches.save(first, b"main") is STORED
    second = await caches.start(TOPIC)
    assert (await caches.restore(second))[0] is HIT
    assert (await caches.restore(second, replace(REQUEST, sequence=2, key="none")))[0] is MISS
    (use,) = await SqliteCacheUses(caches.setup.database).list_uses(second.id)
    assert (use.source_job, use.key, use.ref, use.exact) == (first.id, "k", "refs/heads/main", True)
    statement = (await caches.setup.statements.signed(second))[0].payload.decode()
    assert f'"uri":"urn:danube:job:{first.id}"' in statement
    assert use.sha256 in statement
    assert "urn:danube:job" in statement
    assert '"name":"cache"' not in (await caches.setup.statements.signed(first))[0].payload.decode()
