"""Writes `fields.json`: the fields of the kinds that the fake serves, from the models of the package `kubernetes`.

To import the models takes a second, which tests of every day do not spend. Run it again for a new version of the
package: `python -m tests.fakes.kubernetes.make_fields`."""

import importlib
import json
import re
import typing
from pathlib import Path
from typing import Any

FIELDS = Path(__file__).with_name("fields.json")

_ROOTS = (
    *("v1_pod", "v1_secret", "v1_config_map", "v1_namespace", "v1_service_account", "v1_service", "core_v1_event"),
    *("v1_network_policy", "v1_resource_quota", "v1_deployment", "v1_role", "v1_role_binding", "v1_cluster_role"),
    *("v1_cluster_role_binding", "v1_eviction", "v1_node", "v1_delete_options"),
)


def _short(name: str) -> str:
    return name.removeprefix("Core").removeprefix("V1")


def _text(annotation: Any, found: dict[str, Any]) -> str:
    """A type as text: `string`, `int`, `bool`, `any`, `NAME`, `[TYPE]`, `{TYPE}`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _text(arguments[0], found)
    if origin is typing.Union:
        rest = [one for one in arguments if one is not type(None)]
        return _text(rest[0], found) if len(rest) == 1 else "any"
    if origin is list:
        return f"[{_text(arguments[0], found)}]"
    if origin is dict:
        value = _text(arguments[1], found)
        return "{string}" if value == "any" else f"{{{value}}}"
    if hasattr(annotation, "model_fields"):
        _add(annotation, found)
        return _short(annotation.__name__)
    return {"str": "string", "int": "int", "bool": "bool"}.get(getattr(annotation, "__name__", ""), "any")


def _add(model: Any, found: dict[str, Any]) -> None:
    name = _short(model.__name__)
    if name in found:
        return
    found[name] = {}
    fields = {info.serialization_alias or key: info for key, info in model.model_fields.items()}
    found[name] = {key: _text(info.annotation, found) for key, info in sorted(fields.items())}


def main() -> None:
    """Collect the models, and all that they refer to."""
    found: dict[str, Any] = {}
    for name in _ROOTS:
        module = importlib.import_module(f"kubernetes.client.models.{name}")
        title = re.sub(r"(^|_)([a-z])", lambda match: match[2].upper(), name)
        _add(getattr(module, title), found)
    lines = [f"{json.dumps(name)}: {json.dumps(fields)}" for name, fields in sorted(found.items())]
    FIELDS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
