"""The OpenAPI document against the server that it describes, with hundreds of requests for each operation (`make
fuzz`).

A module of its own, because schemathesis spends seconds on each collection of it; conftest.py leaves it out of
everyday runs.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.edges.http.serve import ServerProcess
from tests.edges.http.test_document import ask, schema, server

__all__ = ["server"]  # the fixture

EXAMPLES = 200

MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.long
@schema.parametrize()
@MANY
def test_the_server_does_as_it_says_however_often_it_is_asked(case: schemathesis.Case, server: ServerProcess) -> None:
    ask(case, server)
