"""Sealed records: what a job's server recorded, as a chain of hashes that grows while the job runs.

Each ended attempt of a step is a record. The log and the egress ledger are sealed again and again while they grow: each
of their records has the size and the hash of the file up to then, and the last two those of the whole files. A record
is JSON text with sorted keys. Its hash is SHA-256 over the previous hash and its bytes, so that the last hash covers
them all; the first previous hash is that of the job's id. Provenance has the last hash: a record that is changed,
removed or moved later does not fit to it.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.steps import Step
from danube_pkg.kit.digests import Digest
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import iso_or_none

STEP = "step"
LOG = "log"
EGRESS = "egress"


class SealedRecord(Record):
    """content: JSON with sorted keys and ASCII escapes. hash: in hexadecimal digits."""

    content: str
    hash: str


def first_hash(job_id: str) -> str:
    """The hash before the first record: that of the job's id, so that a chain belongs to one job."""
    return sha256(f"danube-job/1 {job_id}".encode()).hexdigest()


def next_hash(before: str, content: str) -> str:
    """The hash of a record."""
    return sha256(bytes.fromhex(before) + content.encode()).hexdigest()


def end_of_chain(job_id: str, records: Iterable[SealedRecord]) -> str:
    """The last hash."""
    last = first_hash(job_id)
    for record in records:
        last = record.hash
    return last


def with_record(job_id: str, records: tuple[SealedRecord, ...], values: Mapping[str, Any]) -> tuple[SealedRecord, ...]:
    """The chain with one record more."""
    content = json.dumps(values, sort_keys=True, separators=(",", ":"))
    before = records[-1].hash if records else first_hash(job_id)
    return (*records, SealedRecord(content, next_hash(before, content)))


def attempt_record(step: Step, end: StepEnd, now: float) -> dict[str, Any]:
    """The record of an attempt that has ended. now: when, in Unix seconds. Durations in microseconds.

    The hash of the raw output is left out: it would let anyone test guesses of a secret that was printed. A step whose
    changes were kept or restored has their `snapshot`; a restored one names the job that ran it.
    """
    kept = {"snapshot": step.snapshot} if step.snapshot else {}
    restored = {"restoredFrom": step.restored_from} if step.restored_from else {}
    return {
        **kept,
        **restored,
        "kind": STEP,
        "sequence": step.sequence,
        "attempt": step.attempt,
        "name": step.name,
        "image": step.image,
        "imageDigest": step.image_digest,
        "container": step.container,
        "check": step.check,
        "status": str(end.status),
        "reason": str(end.reason),
        "exitCode": end.exit_code,
        "signal": end.signal,
        "startedOn": iso_or_none(step.started_at),
        "endedOn": iso_or_none(now),
        "wallMicroseconds": end.wall_us,
        "outputBytes": end.output_bytes,
        "authentic": bool(end.output_hash),
    }


def file_record(kind: str, digest: Digest) -> dict[str, Any]:
    """The record of the log or of the egress ledger."""
    return {"kind": kind, "sizeBytes": digest.size_bytes, "sha256": digest.sha256}


def sealed_bytes(records: Iterable[SealedRecord], kind: str) -> int:
    """How much of the log or of the ledger is sealed."""
    contents = (json.loads(record.content) for record in records)
    return max((int(one["sizeBytes"]) for one in contents if one["kind"] == kind), default=0)


def first_break(job_id: str, records: Iterable[SealedRecord]) -> int:
    """The number of the first record, from 1, that does not fit to the one before it; 0 for a whole chain."""
    before = first_hash(job_id)
    for number, record in enumerate(records, start=1):
        if next_hash(before, record.content) != record.hash:
            return number
        before = record.hash
    return 0
