"""The OpenAPI document against the server: schemathesis sends requests, valid and invalid, for each operation.

No answer may be a 5xx other than 503, have a status that the document does not name, or a body that differs from its
schema. `make test` sends a few requests, `make fuzz` many (test_document_at_length.py). Its pytest plugin is not loaded
(pyproject.toml), because it makes each collection of tests slower.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from danube_pkg.edges.http.routes import api_document
from tests.edges.http.serve import ServerProcess, server_process

EVERYDAY_EXAMPLES = 4
TIMEOUT_SECONDS = 10


def no_server_error(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """503 is how the server says that it is not ready."""
    assert response.status_code < 500 or response.status_code == 503


CHECKS = [
    no_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ENDLESS = r"/events$|^/dex/"
"""Streams do not end by themselves, and Dex's answers are not described."""

OPERATIONS = [
    f"{method.upper()} {path}"
    for path, operations in api_document()["paths"].items()
    for method in operations
    if not re.search(ENDLESS, path)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(Path(tmp_path_factory.mktemp("server"))) as made:
        yield made


def send(case: schemathesis.Case, server: ServerProcess) -> None:
    """As a global administrator; about half of the jobs and pipelines exist."""
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


@pytest.fixture(scope="module")
def schema() -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_dict(api_document())


def send_many(operation: str, schema: schemathesis.schemas.BaseSchema, server: ServerProcess, bounds: settings) -> None:
    """Requests of one operation, half of them with a mistake where a request can have one."""
    method, _, path = operation.partition(" ")
    modes = [schema[path][method].as_strategy(generation_mode=mode) for mode in GenerationMode]

    @bounds
    @given(case=st.one_of(modes))
    def send_one(case: schemathesis.Case) -> None:
        send(case, server)

    send_one()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_server_keeps_to_the_document(
    operation: str, schema: schemathesis.schemas.BaseSchema, server: ServerProcess
) -> None:
    send_many(operation, schema, server, EVERYDAY)


def test_each_field_and_parameter_has_a_description() -> None:
    document = api_document()
    without = [
        f"{name}.{key}"
        for name, component in document["components"]["schemas"].items()
        for key, value in component["properties"].items()
        if not value.get("description")
    ]
    without += [
        f"{method} {path}: {parameter['name']}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for parameter in operation["parameters"]
        if parameter["in"] != "path" and not parameter.get("description")
    ]
    assert not without


def test_a_view_that_extends_another_begins_with_its_fields() -> None:
    schemas = api_document()["components"]["schemas"]
    summary, detail = schemas["JobSummary"]["properties"], schemas["JobDetail"]["properties"]
    assert list(detail)[: len(summary)] == list(summary)
    assert {key: detail[key] for key in summary} == summary
