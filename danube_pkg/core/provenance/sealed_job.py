"""A job's sealed records with the files that they seal, and whether all fit to the signed statement."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, STEP, SealedRecord, end_of_chain, first_break
from danube_pkg.core.provenance.envelope import Envelope
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.provenance.statement import STATEMENT_TYPE
from danube_pkg.core.provenance.verification import Checker, FileVerdict, Verification, signed_statement
from danube_pkg.kit.digests import Digest
from danube_pkg.kit.records import Record

PROVENANCE_MEMBER = "provenance.intoto.jsonl"
RECORDS_MEMBER = "records.jsonl"
LOG_MEMBER = "log"
EGRESS_MEMBER = "egress.jsonl"
MEMBERS = (PROVENANCE_MEMBER, RECORDS_MEMBER, LOG_MEMBER, EGRESS_MEMBER)
"""The files of an exported job, in the order of its tar archive."""


class ExportedJob(Record):
    """What an export has. log, egress: what these files are. log_seals, egress_seals: the SHA-256 of their first bytes,
    by how many, at each size that a record names."""

    envelope: Envelope
    records: Sequence[SealedRecord]
    log: Digest
    egress: Digest
    log_seals: Mapping[int, str] = {}
    egress_seals: Mapping[int, str] = {}


def encode_records(records: Sequence[SealedRecord]) -> bytes:
    """One JSON object a line: `content`, the exact bytes that are hashed, and `hash`."""
    lines = [json.dumps({"content": one.content, "hash": one.hash}) for one in records]
    return "".join(f"{line}\n" for line in lines).encode()


def decode_records(data: bytes) -> list[SealedRecord]:
    """The inverse. Raises ValueError."""
    found = []
    for line in data.splitlines():
        document = json.loads(line)
        try:
            found.append(SealedRecord(str(document["content"]), str(document["hash"])))
        except (LookupError, TypeError) as error:
            raise ValueError("a line is not a record") from error
    return found


def verify_sealed_job(job: ExportedJob, keys: Sequence[SigningKey], is_signed_by: Checker) -> FileVerdict:
    """The checks up to the first that fails: one changed line, exit code or contact is found."""
    checks = []
    for check in _checks(job, keys, is_signed_by):
        checks.append(check)
        if not check.passed:
            break
    return FileVerdict(tuple(checks))


def _checks(job: ExportedJob, keys: Sequence[SigningKey], is_signed_by: Checker) -> Iterator[Verification]:
    signature, statement = signed_statement(job.envelope, keys, is_signed_by)
    yield signature
    yield Verification("type", statement is not None and statement.get("_type") == STATEMENT_TYPE, STATEMENT_TYPE)
    details = _details(statement or {})
    job_id = str(details.get("job", ""))
    broken = first_break(job_id, job.records)
    chain = f"record {broken} does not fit to the one before it" if broken else f"{len(job.records)} records"
    yield Verification("chain", not broken, chain)
    ends = end_of_chain(job_id, job.records) == details.get("records")
    yield Verification("end of chain", ends, "as signed" if ends else "records are missing, added or changed")
    contents = [json.loads(one.content) for one in job.records]
    steps = sum(one.get("kind") == STEP for one in contents)
    yield Verification("steps", True, f"{steps} ended attempts of job {job_id}: {details.get('status')}")
    files = (("log", LOG, job.log, job.log_seals), ("egress ledger", EGRESS, job.egress, job.egress_seals))
    for name, kind, found, seals in files:
        yield _file(name, [one for one in contents if one.get("kind") == kind], found, seals)


def _file(name: str, sealed: Sequence[Mapping[str, Any]], found: Digest, seals: Mapping[int, str]) -> Verification:
    """Whether a file is what was sealed of it: while it grew, and at its end."""
    last = sealed[-1] if sealed else {}
    if (found.size_bytes, found.sha256) != (last.get("sizeBytes"), last.get("sha256")):
        return Verification(name, False, f"its {found.size_bytes} bytes are not those that were sealed")
    for one in sealed[:-1]:
        if seals.get(one.get("sizeBytes", 0)) != one.get("sha256"):
            what = f"its first {one.get('sizeBytes')} bytes are not those that were sealed while the job ran"
            return Verification(name, False, what)
    return Verification(name, True, f"{found.size_bytes} bytes, sealed {len(sealed)} times")


def sealed_sizes(records: Sequence[SealedRecord], kind: str) -> list[int]:
    """The sizes at which a file was sealed, ascending. Raises ValueError."""
    try:
        contents = [json.loads(one.content) for one in records]
        return sorted({int(one["sizeBytes"]) for one in contents if one["kind"] == kind})
    except (LookupError, TypeError) as error:
        raise ValueError("a record is not one of a job") from error


def _details(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The job's id, its status and the end of its chain, as far as the statement has them."""
    try:
        run = statement["predicate"]["runDetails"]
        products = {one["name"]: one for one in run["byproducts"]}
        return {
            "job": run["metadata"]["invocationId"],
            "records": products["records"]["digest"]["sha256"],
            "status": products["job"]["annotations"]["status"],
        }
    except (LookupError, TypeError):
        return {}
