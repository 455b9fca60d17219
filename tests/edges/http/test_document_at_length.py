"""The OpenAPI document against the server that it describes, with hundreds of requests for each operation (`make
fuzz`)."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.edges.http.serve import ServerProcess
from tests.edges.http.test_document import OPERATIONS, schema, send_many, server

__all__ = ["schema", "server"]  # the fixtures

EXAMPLES = 200

MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.fuzz
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_server_keeps_to_the_document_in_many_requests(
    operation: str, schema: schemathesis.schemas.BaseSchema, server: ServerProcess
) -> None:
    send_many(operation, schema, server, MANY)
