"""The OpenAPI document against the server that it describes, with hundreds of requests for each operation (`make
fuzz`).

A module of its own, because schemathesis spends seconds on each collection of it; conftest.py leaves it out of
everyday runs.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.edges.http.serve import ServerProcess
from tests.edges.http.test_document import schema, send, server

__all__ = ["server"]  # the fixture

EXAMPLES = 200

MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.long
@schema.parametrize()
@MANY
def test_the_server_keeps_to_the_document_in_many_requests(case: schemathesis.Case, server: ServerProcess) -> None:
    send(case, server)
