"""Request bodies and queries as records: what is refused before a record is read."""

import pytest

from danube_pkg.core.errors import Invalid
from danube_pkg.edges.http.server.bodies import MAX_DEPTH, read_body, read_query
from danube_pkg.edges.http.server.messages import InputInvalid
from danube_pkg.kit.records import Record


class Order(Record):
    """A body with one field of each kind."""

    name: str
    count: int | None = None
    urgent: bool = False


@pytest.mark.parametrize(
    ("body", "reference"),
    [
        (b"{", "body-not-json"),
        (b'{"name": NaN}', "body-not-json"),
        (b"[" * 100_000, "body-not-json"),
        (b'{"name": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}", "body-too-deep"),
        (b'{"name": "\\udc80"}', "text-invalid"),
        (b'{"\\udc80": "a"}', "text-invalid"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes, reference: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_body(Order, body)
    assert caught.value.reference == reference


def test_every_mistake_of_a_body_is_reported() -> None:
    with pytest.raises(InputInvalid) as caught:
        read_body(Order, b'{"count": "2", "colour": "red"}')
    assert len(caught.value.findings) == 3
    assert "the body" in str(caught.value)


def test_a_query_is_read_by_the_types_of_its_fields() -> None:
    assert read_query(Order, "name=1&count=-2&urgent=true") == Order("1", -2, urgent=True)
    with pytest.raises(InputInvalid, match="the query"):
        read_query(Order, "name=a&count=many")
