"""The JSON Schemas of request and response bodies, as the OpenAPI document refers to them."""

from danube_pkg.core.documents.json_schema import JsonSchemas
from danube_pkg.kit.times import Time


def api_schemas() -> JsonSchemas:
    """A new collection; its `definitions` belong below `#/components/schemas`."""
    return JsonSchemas("#/components/schemas/", scalars={Time: {"type": "string", "format": "date-time"}})
