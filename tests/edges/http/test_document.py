"""The OpenAPI document against the server that it describes: schemathesis makes requests, good and bad, for each
operation.

No answer may be a 5xx that the document does not name, a status that it does not name, or a body that is not as it
says. `make test` makes a few requests, `make fuzz` many (test_document_at_length.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from danube_pkg.edges.http.routes import api_document
from tests.edges.http.serve import ServerProcess, server_process

EVERYDAY_EXAMPLES = 8
TIMEOUT_SECONDS = 10

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ENDLESS = r"/events$|^/dex/"
"""Streams do not end by themselves; what Dex answers is Dex's affair."""

schema = schemathesis.openapi.from_dict(api_document()).exclude(path_regex=ENDLESS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(Path(tmp_path_factory.mktemp("server"))) as made:
        yield made


def ask(case: schemathesis.Case, server: ServerProcess) -> None:
    """As a global administrator, about things that are there as often as not."""
    if "job" in case.path_parameters and len(case.path_parameters["job"]) % 2:
        case.path_parameters["job"] = server.job
    if "pipeline" in case.path_parameters and len(case.path_parameters["pipeline"]) % 2:
        case.path_parameters["pipeline"] = "app"
    headers = {"authorization": f"Bearer {server.token}"}
    case.call_and_validate(base_url=server.address, headers=headers, checks=CHECKS, timeout=TIMEOUT_SECONDS)


EVERYDAY = settings(
    max_examples=EVERYDAY_EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@EVERYDAY
def test_the_server_does_as_it_says(case: schemathesis.Case, server: ServerProcess) -> None:
    ask(case, server)
