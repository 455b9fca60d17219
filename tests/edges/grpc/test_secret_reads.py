"""Reads of secrets are rows and entries of the audit log: a job has a bounded number of both."""

import pytest
from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.jobs.coordination import MAX_SECRET_READS
from danube_pkg.edges.grpc.messages import secret_request


def test_a_job_reads_secrets_so_often_and_no_more() -> None:
    """A read is stored under its number, so a bound of the numbers is one of the rows."""
    assert secret_request(pb.ReadSecretRequest(sequence=MAX_SECRET_READS, key="TOKEN")) == (MAX_SECRET_READS, "TOKEN")
    with pytest.raises(TooLarge, match=f"may read secrets {MAX_SECRET_READS} times") as refusal:
        secret_request(pb.ReadSecretRequest(sequence=MAX_SECRET_READS + 1, key="TOKEN"))
    assert refusal.value.reference == "too-many-secret-reads"
    assert "secrets.get" in refusal.value.hint
