"""The signing key of a server that can crash, and what must hold of everything that was signed in a run."""

import json
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by
from danube_pkg.core.jobs.sealed_records import SealedRecord, end_of_chain, first_break
from danube_pkg.core.provenance.envelope import Signature, read_envelopes
from danube_pkg.kit.clock import Clock
from tests.sim.crashing import CrashingProcess


class CrashingSigner(SigningKeys):
    """The real key in a real file, with a point before and after each signature. `signed` has all that was signed,
    also what a crash kept from being stored."""

    process: CrashingProcess
    signed: list[bytes]

    @classmethod
    def of(cls, directory: Path, clock: Clock, process: CrashingProcess, signed: list[bytes]) -> "CrashingSigner":
        """The key below `directory`. signed: outlives each server."""
        made = cls.open(directory, clock)
        assert isinstance(made, cls)
        made.process, made.signed = process, signed
        return made

    async def sign(self, data: bytes) -> Signature:
        self.process.touch("sign.before")
        signature = await super().sign(data)
        self.signed.append(data)
        self.process.touch("sign.after")
        return signature


def violations_of_statement(path: Path, database: sqlite3.Connection, job: sqlite3.Row) -> Iterator[str]:
    """What is wrong with the provenance of a closed job. path: the data directory."""
    row = database.execute("SELECT * FROM provenance WHERE job_id = ?", (job["id"],)).fetchone()
    artifacts = database.execute("SELECT * FROM artifacts WHERE job_id = ?", (job["id"],)).fetchall()
    if job["started_at"] is None:
        if row is not None or artifacts:
            yield "it never ran, and has provenance or artifacts"
        return
    if row is None:
        yield "it ended without provenance"
        return
    (envelope,) = read_envelopes(row["envelope"])
    key = SigningKeys.open(path / "keys", _NoClock()).current
    if not is_signed_by(key, envelope.signatures[0].value, envelope.signed_bytes):
        yield "its provenance is not signed by the server's key"
    statement = json.loads(envelope.payload)
    byproducts = {one["name"]: one for one in statement["predicate"]["runDetails"]["byproducts"]}
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    log = sha256((path / "logs" / f"{job['id']}.log").read_bytes()).hexdigest()
    if subjects != ({one["path"]: one["sha256"] for one in artifacts} or {f"{job['id']}.log": log}):
        yield f"its provenance is about {subjects}"
    if byproducts["job"]["annotations"]["status"] != job["status"]:
        yield f"its provenance says {byproducts['job']}, and it is {job['status']}"
    if byproducts[f"{job['id']}.log"]["digest"]["sha256"] != log:
        yield "its provenance has the hash of another log"
    yield from _violations_of_records(database, job, byproducts["records"])


def _violations_of_records(database: sqlite3.Connection, job: sqlite3.Row, sealed: dict[str, Any]) -> Iterator[str]:
    rows = database.execute(
        "SELECT content, hash FROM sealed_records WHERE job_id = ? ORDER BY position", (job["id"],)
    ).fetchall()
    records = [SealedRecord(*row) for row in rows]
    if first_break(job["id"], records) or end_of_chain(job["id"], records) != sealed["digest"]["sha256"]:
        yield "its chain of records is broken"
    contents = [json.loads(one.content) for one in records]
    if contents != sealed["annotations"]["records"]:
        yield "its provenance has other records than the database"
    ends = {(one["sequence"], one["attempt"]): one["status"] for one in contents if one["kind"] == "step"}
    for step in database.execute("SELECT * FROM steps WHERE job_id = ?", (job["id"],)):
        if ends.get((step["sequence"], step["attempt"])) != step["status"]:
            yield f"the end of step {step['sequence']} attempt {step['attempt']} is not sealed as {step['status']}"
    if len(ends) != sum(one["kind"] == "step" for one in contents):
        yield "an attempt is sealed twice"


def violations_of_signatures(signed: list[bytes]) -> Iterator[str]:
    """No subject has two statements, whether they were stored or not."""
    found: dict[tuple[str, str], bytes] = {}
    for data in signed:
        payload = data[data.index(b"{") :]
        statement = json.loads(payload)
        job = statement["predicate"]["runDetails"]["metadata"]["invocationId"]
        for subject in statement["subject"]:
            if found.setdefault((job, subject["name"]), payload) != payload:
                yield f"two different statements about {subject['name']} of job {job} were signed"


class _NoClock:
    """Reading a key needs no time."""

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")
