"""What must hold at the end of every run, whatever the faults. Each violation is a sentence."""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.core.jobs.job import step_id
from danube_pkg.core.logs.index import (
    RECORD_BYTES,
    IndexRecord,
    RecordKind,
    usable,
)
from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.core.logs.secret_forms import base64_of
from danube_pkg.core.reasons import Reason, Status
from tests.sim.job_plans import GREEN, End, JobPlan
from tests.sim.server import MASTER_KEY
from tests.sim.signing import violations_of_signatures, violations_of_statement
from tests.sim.state import SimulationState

LOST: tuple[Reason, ...] = (Reason.POD_LOST, Reason.INFRASTRUCTURE_LOST)


def violations_of(state: SimulationState) -> list[str]:
    """The violations of a finished run; empty if every invariant holds."""
    with sqlite3.connect(state.directory.database) as database:
        database.row_factory = sqlite3.Row
        jobs = {row["pipeline"]: row for row in database.execute("SELECT * FROM jobs")}
        steps = {row["id"]: row for row in database.execute("SELECT * FROM steps")}
        for job in jobs.values():
            found = violations_of_statement(state.directory.path, database, job)
            state.violations += [f"{job['pipeline']}: {sentence}" for sentence in found]
        pending = database.execute("SELECT * FROM effects WHERE done_at IS NULL").fetchall()
    database.close()
    violations = [*state.violations, *(f"a simulated program failed: {error!r}" for error in state.machine.defects)]
    violations += [f"an effect is still pending: {tuple(row)}" for row in pending]
    violations += [f"a pod is left: {pod_id}" for pod_id in state.machine.pods]
    for name, plan in state.plans.items():
        if name not in jobs or jobs[name]["id"] != state.accepted.get(name):
            violations.append(f"{name} was accepted as {state.accepted.get(name)} and is missing")
            continue
        violations += [f"{name}: {sentence}" for sentence in _violations_of_job(state, plan, jobs[name], steps)]
    return [*violations, *_secrets_on_disk(state), *_repeated(state), *violations_of_signatures(state.machine.signed)]


def _violations_of_job(
    state: SimulationState, plan: JobPlan, job: sqlite3.Row, steps: dict[str, sqlite3.Row]
) -> Iterator[str]:
    own = [row for row in steps.values() if row["job_id"] == job["id"]]
    if job["phase"] != "closed":
        yield f"it is {job['phase']}"
        return
    yield from _status(state, plan, job, own)
    yield from _log(state, plan, job, own)
    if job["status"] == Status.SUCCESS:
        yield from _green(state, plan, job["id"], steps)
    yield from (f"step {row['sequence']} is {row['phase']}" for row in own if row["phase"] != "ended")


# --- status and reason


def _status(state: SimulationState, plan: JobPlan, job: sqlite3.Row, steps: list[sqlite3.Row]) -> Iterator[str]:
    end: End = Status(job["status"]), Reason(job["reason"])
    wanted = plan.end()
    allpending = {wanted}
    if job["id"] in state.cancelled:
        outcome = state.cancelled[job["id"]].outcome
        if outcome is Status.CANCELLED:
            allpending = {(Status.CANCELLED, Reason.CANCELLED)}
    elif plan.name in state.scenario.cancels:
        allpending.add((Status.CANCELLED, Reason.CANCELLED))
    forestalled = wanted == (Status.TIMEOUT, Reason.JOB_TIMEOUT) or any(step.removes_pod for _, step in plan.steps())
    if job["id"] in state.killed_jobs and (
        forestalled or (end[0] is Status.FAILURE and end[1] in (*LOST, Reason.STEP_FAILED))
    ):
        allpending.add(end)
    if end not in allpending:
        yield f"it ended as {end}, not as {sorted(allpending)}: {job['message']}"
    if end != GREEN and not job["message"]:
        yield "it has no message that says why it ended"
    if end[0] is not Status.SUCCESS and any(value in job["message"].encode() for value in state.secrets):
        yield "its message holds a secret"
    if job["finished_at"] is None or (job["started_at"] is None) != (job["deadline_at"] is None):
        yield "its times are incomplete"


def _green(state: SimulationState, plan: JobPlan, job_id: str, steps: dict[str, sqlite3.Row]) -> Iterator[str]:
    """A green job has a record of each checked step, and the record matches what the machine did."""
    for sequence, step in plan.steps():
        row = steps.get(step_id(job_id, sequence))
        if row is None or row["record"] is None:
            yield f"green without a record of step {sequence}"
            continue
        record = json.loads(row["record"])
        if not step.check:
            continue
        printed = bytes(state.machine.printed[row["id"], row["attempt"]])
        real = state.machine.steps[row["id"], row["attempt"]]
        if record["status"] != Status.SUCCESS or record["exit_code"] != 0 or not real.record or real.killed:
            yield f"green with step {sequence} as {record}"
        if record["output_hash"] != blake2b(printed, digest_size=32).hexdigest():
            yield f"the record of step {sequence} has another output hash"
        if row["attempt"] != step.end()[1] and job_id not in state.killed_jobs:
            yield f"step {sequence} ended in attempt {row['attempt']}, not {step.end()[1]}"


# --- the log


def _log(state: SimulationState, plan: JobPlan, job: sqlite3.Row, steps: list[sqlite3.Row]) -> Iterator[str]:
    path = state.directory.path / "logs" / f"{job['id']}.log"
    if not path.exists():
        if job["started_at"] is not None:
            yield "it ran and has no log"
        return
    log, index = path.read_bytes(), path.with_suffix(".idx").read_bytes()
    records = usable(index, len(log))
    if len(records) * RECORD_BYTES != len(index) or (records[-1].end if records else 0) != len(log):
        yield f"its log has {len(log)} bytes, its index {len(index)}, of which {len(records)} records are valid"
    for parts in [state.viewed[job["id"]]] if job["id"] in state.viewed else []:
        if b"".join(parts) != log:
            yield f"a viewer saw {len(b''.join(parts))} bytes of {len(log)}"
    patterns = Patterns([*state.secrets, Keys(MASTER_KEY).job_token(job["id"]).encode()])
    for row in steps:
        yield from _log_of_step(state, row, log, records, patterns)
    text = log.decode(errors="replace")
    yield from _lines_once(text)
    if f"--- job {job['status']}" not in text.splitlines()[-1]:
        yield f"its log does not end with the job's status: {text.splitlines()[-1]!r}"


def _lines_once(text: str) -> Iterator[str]:
    """Each line of Danube itself appears once; only the ends of two attempts may be the same line."""
    own = [line for line in text.splitlines() if line.startswith("--- ")]
    for line in {line for line in own if own.count(line) > 1}:
        if not re.match(r"--- step \d+ (failure|timeout|cancelled)", line):
            yield f"its log has {own.count(line)} times: {line}"


def _log_of_step(
    state: SimulationState, row: sqlite3.Row, log: bytes, records: Sequence[IndexRecord], patterns: Patterns
) -> Iterator[str]:
    """Every byte that the machine printed is in the log once, in order, masked; or it was lost with its container."""
    own = [record for record in records if record.kind is RecordKind.OUTPUT and record.step == row["sequence"]]
    if own and (own[0].begin, own[-1].end) != (row["log_offset_start"], row["log_offset_end"]):
        filled = [record for record in own if record.end > record.begin]
        if filled and (filled[0].begin, filled[-1].end) != (row["log_offset_start"], row["log_offset_end"]):
            yield f"step {row['sequence']} has the wrong range in the log"
    for attempt in range(1, row["attempt"] + 1):
        printed = bytes(state.machine.printed.get((row["id"], attempt), b""))
        found = b"".join(log[one.begin : one.end] for one in own if one.attempt == attempt)
        wanted, _ = patterns.mask(printed, final=True)
        if found == wanted:
            continue
        real = state.machine.steps.get((row["id"], attempt))
        whole = real is not None and bool(real.record) and row["record"] and json.loads(row["record"])["output_hash"]
        if attempt == row["attempt"] and whole:
            yield f"step {row['sequence']} attempt {attempt} printed {wanted!r}, its log has {found!r}"
        elif not any(patterns.mask(printed[:size], final=True)[0] == found for size in range(len(printed) + 1)):
            yield f"step {row['sequence']} attempt {attempt} was cut, and its log {found!r} is not a beginning of {wanted!r}"


# --- the whole data directory


def _secrets_on_disk(state: SimulationState) -> Iterator[str]:
    forms = {*state.secrets, *(value.hex().encode() for value in state.secrets)}
    forms |= {base64_of(value, before, url=False) for value in state.secrets for before in range(3)}
    for path in sorted(state.directory.path.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        wanted = forms if path.suffix == ".log" else state.secrets
        for form in wanted:
            if form in data:
                yield f"{path.name} holds {form!r}"


def _repeated(state: SimulationState) -> Iterator[str]:
    for (name, attempt), count in state.machine.starts.items():
        if count != 1:
            yield f"{name} attempt {attempt} was started {count} times"
    for job_id, plan in ((job_id, state.plans[name]) for name, job_id in state.accepted.items()):
        allpending = {step_id(job_id, sequence): step.retries + 1 for sequence, step in plan.steps()}
        for name, attempt in state.machine.starts:
            if name in allpending and attempt > allpending[name]:
                yield f"{name} had attempt {attempt} of {allpending[name]}"
