"""Jobs in the store: what is written is what is read, whatever is in it."""

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danube_pkg.adapters.store import Database, SqliteJobs, SqlitePipelines
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Job, Phase, step_id
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import replace
from tests.support.databases import connection_of, open_new_database
from tests.support.examples import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TIMES = st.none() | st.floats(0, 2e9)
COUNTS = st.integers(0, 2**60)
ENDS = st.builds(
    StepEnd,
    status=st.sampled_from(Status),
    reason=st.sampled_from(Reason),
    message=TEXT,
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    wall_us=COUNTS,
    user_us=COUNTS,
    system_us=COUNTS,
    peak_memory_bytes=COUNTS,
    output_bytes=COUNTS,
    output_hash=TEXT,
)


@st.composite
def steps_of(draw: st.DrawFn, job_id: str) -> tuple[Step, ...]:
    sequences = sorted(draw(st.sets(st.integers(0, 2000), max_size=4)))
    build = st.builds(
        Step,
        id=st.just(""),
        sequence=st.just(0),
        name=TEXT,
        image=TEXT,
        check=st.booleans(),
        retries=st.integers(0, 10),
        retry_delay_seconds=st.integers(0, 3600),
        retry_on=st.lists(TEXT, max_size=3).map(tuple),
        next_attempt_at=TIMES,
        cleanup=st.booleans(),
        timeout_seconds=st.integers(0, 10**6),
        shell=TEXT,
        attempt=st.integers(1, 11),
        phase=st.sampled_from(StepPhase),
        status=st.sampled_from(Status),
        container=st.none() | st.integers(0, 99),
        memory_kills=st.integers(0, 99),
        requested_at=TIMES,
        started_at=TIMES,
        finished_at=TIMES,
        end=st.none() | ENDS,
        log_begin=COUNTS,
        log_end=COUNTS,
    )
    return tuple(replace(draw(build), id=step_id(job_id, number), sequence=number) for number in sequences)


@st.composite
def jobs_with(draw: st.DrawFn, job_id: str) -> Job:
    return draw(
        st.builds(
            Job,
            id=st.just(job_id),
            pipeline_id=st.just("p1"),
            pipeline=TEXT,
            trigger=st.builds(
                Trigger,
                type=st.sampled_from(["manual", "webhook", "cron", "pipeline"]),
                actor=TEXT,
                revision=st.builds(Revision, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT),
                params=st.dictionaries(TEXT, TEXT, max_size=3),
                pull_request=st.none() | st.dictionaries(TEXT, TEXT | st.integers(0, 9), max_size=2),
            ),
            settings=st.builds(
                PipelineSettings,
                repository=TEXT,
                script=TEXT,
                image=TEXT,
                max_duration_seconds=st.integers(1, 10**6),
                workspace_size_gb=st.integers(1, 100),
                memory_mb=st.integers(0, 10**6),
                cpu=st.floats(0, 64),
                network=st.sampled_from(Network),
                log_limit_mb=st.integers(1, 1000),
            ),
            created_at=st.floats(0, 2e9),
            phase=st.sampled_from(Phase),
            status=st.sampled_from(Status),
            reason=st.sampled_from(Reason),
            message=TEXT,
            generation=st.integers(0, 9),
            effect_count=st.integers(0, 99),
            outcome=st.none() | st.sampled_from(Status),
            cancelled_by=TEXT,
            started_at=TIMES,
            deadline_at=TIMES,
            finished_at=TIMES,
            pod_id=TEXT,
            steps=steps_of(job_id),
        )
    )


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = open_new_database(tmp_path / "danube.db")
    await SqlitePipelines(made).apply_pipelines([Pipeline("p1", "hello", "team", PipelineSettings("r"))], "revision")
    yield made
    await made.close()


@pytest.fixture
def jobs(database: Database) -> SqliteJobs:
    return SqliteJobs(database)


def a_job(job_id: str, **changes: object) -> Job:
    job = Job(job_id, "p1", "hello", Trigger("manual", "me"), PipelineSettings("r"), created_at=1.0)
    return replace(job, **changes)  # type: ignore[arg-type]


def a_step(job_id: str, sequence: int, **changes: object) -> Step:
    return replace(Step(step_id(job_id, sequence), sequence, "name", "host"), **changes)  # type: ignore[arg-type]


async def test_a_job_that_an_older_version_stored_is_read(database: Database, jobs: SqliteJobs) -> None:
    """Its trigger has the fields of the revision beside its own."""
    await jobs.create_jobs([a_job("01a")])
    old = {
        "type": "webhook",
        "actor": "alice",
        "ref": "refs/heads/main",
        "branch": "main",
        "tag": "",
        "commit_sha": "c0ffee",
        "params": {"target": "staging"},
        "pull_request": None,
        "rerun_of": "",
        "origin": "github:d1",
        "commit_message": "fix",
        "commit_author": "Alice",
    }

    def store(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE jobs SET trigger = ? WHERE id = '01a'", (json.dumps(old),))

    await database.write(store)
    job = await SqliteJobs(database).load_job("01a")
    assert job is not None
    revision = Revision("c0ffee", "refs/heads/main", "main", commit_message="fix", commit_author="Alice")
    assert job.trigger == Trigger("webhook", "alice", revision, {"target": "staging"}, origin="github:d1")


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_what_is_written_is_read(database: Database, data: st.DataObject) -> None:
    """Also over a second state of the same job, by the server that knows the first and by one that does not."""
    first, second, third = (data.draw(jobs_with("01job")) for _ in range(3))
    jobs = SqliteJobs(database)
    await database.write(lambda connection: connection.execute("DELETE FROM jobs") and None)
    await jobs.create_jobs([replace(first, steps=())])
    await jobs.save_job(first)
    assert await jobs.load_job("01job") == first
    for state, writer in ((second, jobs), (third, SqliteJobs(database))):
        known = await jobs.load_job("01job")
        assert known is not None
        grown = {step.sequence: step for step in (*known.steps, *state.steps)}  # steps are never removed from a job
        state = replace(state, steps=tuple(grown[number] for number in sorted(grown)))
        await writer.save_job(state)
        assert await SqliteJobs(database).load_job("01job") == state


async def test_state_and_owed_effects_are_one_transaction(jobs: SqliteJobs, database: Database) -> None:
    job = a_job("01job")
    await jobs.create_jobs([job])
    effects = [Effect("01job", 1, 0, EffectKind.CREATE_POD), Effect("01job", 2, 1, EffectKind.STOP_STEPS)]
    await jobs.save_job(replace(job, phase=Phase.PREPARING), owed=effects)
    assert list(await jobs.owed_effects("01job")) == effects
    await jobs.save_job(replace(job, phase=Phase.RUNNING), done=effects[0])
    assert list(await jobs.owed_effects("01job")) == effects[1:]
    broken = replace(job, phase=Phase.CLOSED, pipeline_id="no such pipeline")
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await jobs.save_job(broken, done=effects[1], owed=[Effect("01job", 3, 1, EffectKind.DELETE_POD)])
    assert list(await jobs.owed_effects("01job")) == effects[1:]
    loaded = await jobs.load_job("01job")
    assert loaded is not None
    assert loaded.phase is Phase.RUNNING


async def test_a_commit_that_is_repeated_does_no_harm(jobs: SqliteJobs) -> None:
    job = a_job("01job")
    await jobs.create_jobs([job])
    effect = Effect("01job", 1, 0, EffectKind.CREATE_POD)
    for _ in range(2):
        await jobs.save_job(replace(job, phase=Phase.PREPARING), owed=[effect])
    assert list(await jobs.owed_effects("01job")) == [effect]


async def test_an_id_is_given_once(jobs: SqliteJobs) -> None:
    job = a_job("01job")
    await jobs.create_jobs([job])
    await jobs.save_job(replace(job, phase=Phase.RUNNING))
    (there,) = await jobs.create_jobs([job])
    assert there.phase is Phase.RUNNING
    assert there == await jobs.load_job("01job")


async def test_an_origin_is_given_once_in_each_pipeline(jobs: SqliteJobs) -> None:
    trigger = Trigger("webhook", "alice", origin="github:d1")
    first, second = (a_job(job_id, trigger=trigger) for job_id in ("01job", "02job"))
    await jobs.create_jobs([first])
    assert [job.id for job in await jobs.create_jobs([second, a_job("03job")])] == ["01job", "03job"]
    assert await jobs.load_job("02job") is None


async def test_only_steps_that_changed_are_written(jobs: SqliteJobs, database: Database) -> None:
    many = tuple(a_step("01job", number) for number in range(1, 200))
    job = a_job("01job", steps=many)
    await jobs.create_jobs([a_job("01job")])
    await jobs.save_job(job)
    written: list[str] = []
    connection_of(database).set_trace_callback(lambda sql: written.append(sql) if "INTO steps" in sql else None)
    changed = replace(job, steps=(*many[:-1], replace(many[-1], attempt=2)))
    await jobs.save_job(changed)
    connection_of(database).set_trace_callback(None)
    assert len(written) == 1
    assert await jobs.load_job("01job") == changed


async def test_unfinished_jobs_are_those_that_are_not_closed_oldest_first(jobs: SqliteJobs) -> None:
    for number, phase in enumerate([*Phase, Phase.QUEUED]):
        await jobs.create_jobs([a_job(f"{number:02}", phase=phase)])
    found = await jobs.unfinished_jobs()
    assert [job.id for job in found] == ["00", "01", "02", "03", "04", "05", "07"]
    assert found[1].phase is Phase.PREPARING


async def test_jobs_are_listed_newest_first_in_pages(jobs: SqliteJobs) -> None:
    for number in range(25):
        name, status = ("hello", Status.SUCCESS) if number % 2 else ("other", Status.FAILURE)
        job = a_job(f"{number:02}", pipeline=name, status=status)
        await jobs.create_jobs([job])
        await jobs.save_job(replace(job, steps=(a_step(job.id, 2), a_step(job.id, 11), a_step(job.id, 1))))
    seen: list[str] = []
    while page := await jobs.list_jobs(JobFilter(before=seen[-1] if seen else None, limit=10)):
        seen += [job.id for job in page]
    assert seen == [f"{number:02}" for number in reversed(range(25))]
    odd = await jobs.list_jobs(JobFilter(frozenset({"hello"}), Status.SUCCESS, before="10"))
    assert [job.id for job in odd] == ["09", "07", "05", "03", "01"]
    assert list(await jobs.list_jobs(JobFilter(frozenset({"hello"}), Status.FAILURE))) == []


async def test_every_filter_gives_what_a_scan_would(jobs: SqliteJobs) -> None:
    """The lists' SQL seeks in indexes and merges; a filter in Python over all of them says what must come out."""
    random = Random(6)
    every = []
    known = [
        Pipeline(f"p{at}", name, "", PipelineSettings("r")) for at, name in enumerate(("hello", "other", "third"), 1)
    ]
    await SqlitePipelines(jobs._database).apply_pipelines(known, "1")
    for number in range(400):
        trigger = Trigger("manual", "alice", Revision(branch=random.choice(["main", "a", "b"])))
        pipeline, ended = random.choice(known), random.choice(list(Status))
        job = a_job(f"{number:04}", pipeline=pipeline.name, pipeline_id=pipeline.id, status=ended, trigger=trigger)
        every.append(job)
    await jobs.create_jobs(every)
    names = (None, frozenset[str](), frozenset({"hello"}), frozenset({"hello", "third", "not there"}))
    for pipelines, status, branch, before, limit in itertools.product(
        names, (None, Status.FAILURE), (None, "main", "none"), (None, "0200"), (1, 7, 500)
    ):
        wanted = JobFilter(pipelines, status, branch, before, limit)
        found = [job.id for job in await jobs.list_jobs(wanted)]
        assert found == [job.id for job in reversed(every) if fits(job, wanted)][:limit], wanted


def fits(job: Job, wanted: JobFilter) -> bool:
    return (
        (wanted.pipelines is None or job.pipeline in wanted.pipelines)
        and wanted.status in (None, job.status)
        and wanted.branch in (None, job.trigger.revision.branch)
        and (wanted.before is None or job.id < wanted.before)
    )


async def test_the_newest_runs_of_each_pipeline(jobs: SqliteJobs) -> None:
    for number in range(12):
        await jobs.create_jobs([a_job(f"{number:02}", pipeline="hello" if number % 3 else "other")])
    found = await jobs.newest_runs(["hello", "other", "none"], 3)
    assert {name: [run.id for run in runs] for name, runs in found.items()} == {
        "hello": ["11", "10", "08"],
        "other": ["09", "06", "03"],
        "none": [],
    }


async def test_a_closed_job_is_not_kept_in_memory(jobs: SqliteJobs) -> None:
    job = a_job("01job")
    await jobs.create_jobs([job])
    await jobs.save_job(replace(job, phase=Phase.CLOSED))
    assert not jobs._saved
    assert await jobs.load_job("no-such-job") is None
