"""Ports of provenance: what signs, what keeps the signing keys, and what stores signed statements."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.jobs.job import Provenance
from danube_pkg.core.jobs.sealed_records import SealedRecord
from danube_pkg.core.provenance.envelope import Signature
from danube_pkg.core.provenance.keys import SigningKey


class Signer(Protocol):
    """Signs with a key that no process with user code can reach: a file of the server now, a PKCS#11 token or a key
    management service later.

    Concurrent calls are allowed, also during a rotation. Raises Unavailable where a retry may help, Permanent where the
    key cannot be used.
    """

    async def sign(self, data: bytes) -> Signature: ...


class SigningKeyRing(Protocol):
    """The signing keys of a server."""

    def public_keys(self) -> Sequence[SigningKey]:
        """The current key, then the retired ones, newest first."""
        ...

    async def rotate(self) -> SigningKey:
        """Retire the current key and make a new one, which signs from then on. After a crash at any point the server
        has one of both keys, and the public halves of all that ever signed. Raises StorageFull."""
        ...


class ProvenanceStore(Protocol):
    """What was stored about the provenance of jobs; the job store writes it, with the state that it belongs to."""

    async def load_provenance(self, job_id: str) -> Provenance | None:
        """None for a job that has not ended, and for one that ended before this server signed."""
        ...

    async def load_records(self, job_id: str) -> Sequence[SealedRecord]:
        """The sealed records, in their order."""
        ...
