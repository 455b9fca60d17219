"""The JSON Schema of configuration files, for editors.

An editor checks one document of a file at a time; what must hold between documents only `danube validate` checks.
"""

from typing import Any

from danube_pkg.core.configuration.kinds import API_VERSION, KINDS, Metadata
from danube_pkg.core.documents.json_schema import JsonSchemas


def json_schema() -> dict[str, Any]:
    """The schema of one document."""
    schemas = JsonSchemas("#/$defs/", bounded=True)
    kinds = [
        {
            "title": kind,
            "type": "object",
            "additionalProperties": False,
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"const": API_VERSION},
                "kind": {"const": kind},
                "metadata": schemas.reference(Metadata),
                "spec": schemas.reference(spec),
            },
        }
        for kind, spec in KINDS.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Danube configuration, {API_VERSION}",
        "oneOf": kinds,
        "$defs": dict(sorted(schemas.definitions.items())),
    }
