"""Checks objects strictly, by the types that the package `kubernetes` has from the API's own OpenAPI document.

A field that the API does not have, a value of another type and a missing required field are findings, as the API server
reports them with `fieldValidation=Strict`. It needs no cluster; what only a server knows (admission, defaults, names
that exist) is not checked.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes.client import models

_PLAIN: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "datetime": (str,),
    "object": (str, int, float, bool, dict, list),
}
_CONTAINER = re.compile(r"(List|list|Dict|dict)[\[(](?:str, )?(.*)[\])]")


def findings(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with an object; empty for one that the API accepts in its form."""
    name = model_of(str(manifest.get("apiVersion")), str(manifest.get("kind")))
    return list(_check(name, manifest, str(manifest.get("kind"))))


def model_of(version: str, kind: str) -> str:
    """The name of the type: `networking.k8s.io/v1` and NetworkPolicy are V1NetworkPolicy."""
    number = version.rpartition("/")[2]
    return f"{number[0].upper()}{number[1:]}{kind}"


def _check(kind: str, value: Any, where: str) -> Iterator[str]:
    if value is None:
        return
    container = _CONTAINER.fullmatch(kind)
    if container is not None:
        yield from _check_container(container[1].lower(), container[2], value, where)
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind in ("int", "float")):
            yield f"{where}: {value!r} is not {kind}"
    else:
        yield from _check_object(kind, value, where)


def _check_container(container: str, inner: str, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list if container == "list" else dict):
        yield f"{where}: {value!r} is not a {container}"
        return
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in items:
        yield from _check(inner, item, f"{where}[{key}]")


def _check_object(kind: str, value: Any, where: str) -> Iterator[str]:
    model = getattr(models, kind, None)
    if model is None:
        yield f"{where}: the API has no {kind}"
        return
    if not isinstance(value, Mapping):
        yield f"{where}: {value!r} is not an object"
        return
    attributes = {attribute: name for name, attribute in model.attribute_map.items()}
    for key, item in value.items():
        if key not in attributes:
            yield f"{where}: {kind} has no field {key}"
        else:
            yield from _check(model.openapi_types[attributes[key]], item, f"{where}.{key}")
    for name, field in model.model_fields.items():
        if field.is_required() and value.get(model.attribute_map[name]) is None:
            yield f"{where}: {kind} needs {model.attribute_map[name]}"
