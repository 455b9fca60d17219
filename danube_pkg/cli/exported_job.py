"""Reads the archive of `danube jobs export`. Nothing of it is written to disk."""

import hashlib
import tarfile
from collections.abc import Sequence
from typing import IO

from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, SealedRecord
from danube_pkg.core.provenance.envelope import MAX_ENVELOPE_BYTES, read_envelopes
from danube_pkg.core.provenance.sealed_job import (
    EGRESS_MEMBER,
    LOG_MEMBER,
    MEMBERS,
    PROVENANCE_MEMBER,
    RECORDS_MEMBER,
    ExportedJob,
    decode_records,
    sealed_sizes,
)
from danube_pkg.kit.digests import Digest

_PART_BYTES = 1024**2


def read_exported_job(name: str) -> ExportedJob:
    """The job in an archive. Raises Permanent for a file that cannot be read or is not such an archive."""
    small: dict[str, bytes] = {}
    digests: dict[str, Digest] = {}
    seals: dict[str, dict[int, str]] = {}
    records: Sequence[SealedRecord] = ()
    try:
        with tarfile.open(name, "r|") as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is None or member.name not in MEMBERS or member.name in {*small, *digests}:
                    raise ValueError(f"it has a member {member.name!r}")
                if member.name in (LOG_MEMBER, EGRESS_MEMBER):
                    if RECORDS_MEMBER not in small:
                        raise ValueError(f"{member.name} comes before its records")
                    sizes = sealed_sizes(records, LOG if member.name == LOG_MEMBER else EGRESS)
                    digests[member.name], seals[member.name] = _digest(file, sizes)
                else:
                    small[member.name] = _whole(file, member)
                    if member.name == RECORDS_MEMBER:
                        records = decode_records(small[RECORDS_MEMBER])
        envelope = read_envelopes(small[PROVENANCE_MEMBER])[0]
        log, egress = (digests[one] for one in (LOG_MEMBER, EGRESS_MEMBER))
        return ExportedJob(envelope, records, log, egress, seals[LOG_MEMBER], seals[EGRESS_MEMBER])
    except OSError as error:
        cause = error.strerror or str(error)
        raise Permanent(
            "file-unreadable", f"{name} cannot be read", cause=cause, hint=f"check it: ls -l {name}"
        ) from error
    except (tarfile.TarError, ValueError, LookupError) as error:
        raise Permanent(
            "not-an-export",
            f"{name} is not an exported job",
            cause=str(error),
            hint="get it from the server: danube jobs export JOB --output FILE",
        ) from error


def _whole(file: IO[bytes], member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_ENVELOPE_BYTES:
        raise ValueError(f"{member.name} has more than {MAX_ENVELOPE_BYTES} bytes")
    return file.read()


def _digest(file: IO[bytes], sizes: Sequence[int]) -> tuple[Digest, dict[int, str]]:
    """The digest of a file, and the SHA-256 of its first bytes at each of these ascending sizes that it reaches."""
    hash_, size, seals = hashlib.sha256(), 0, {}
    for wanted in (*sizes, None):
        while part := file.read(_PART_BYTES if wanted is None else min(_PART_BYTES, wanted - size)):
            hash_.update(part)
            size += len(part)
        if wanted == size:
            seals[size] = hash_.copy().hexdigest()
    return Digest(size, hash_.hexdigest()), seals
