"""The three forms of patches: JSON patch (RFC 6902), merge patch (RFC 7386), and the strategic one, which merges
lists of objects by a key."""

import copy
import json
from typing import Any

from tests.fakes.kubernetes.api_errors import ApiError, Json, bad_request

_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "conditions": "type",
    "ownerReferences": "uid",
    "imagePullSecrets": "name",
}
"""`patchMergeKey` of the fields of a pod."""


def apply_patch(content_type: str, found: Json, body: bytes) -> Json:
    """The object with the patch. content_type: that of the request. Raises ApiError 400, 415, 422."""
    given = json.loads(body)
    if content_type == "application/json-patch+json":
        return _apply_operations(found, given)
    if content_type == "application/merge-patch+json":
        return _merged(found, given, strategic=False)
    if content_type == "application/strategic-merge-patch+json":
        return _merged(found, given, strategic=True)
    raise ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json,"
        " application/merge-patch+json, application/apply-patch+yaml",
    )


def _merged(found: Any, given: Any, *, strategic: bool) -> Any:
    if not isinstance(given, dict):
        return given
    made = dict(found) if isinstance(found, dict) else {}
    for name, value in given.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            made[field] = [one for one in made.get(field, []) if one not in value]
        elif value is None:
            made.pop(name, None)
        elif strategic and name in _KEYS and isinstance(value, list):
            made[name] = _merged_list(made.get(name) or [], value, _KEYS[name])
        elif strategic and name == "finalizers":
            made[name] = list(dict.fromkeys([*(made.get(name) or []), *value]))
        else:
            made[name] = _merged(made.get(name), value, strategic=strategic)
    return made


def _merged_list(found: list[Json], given: list[Json], key: str) -> list[Json]:
    made = {one[key]: one for one in found}
    for one in given:
        if one.get("$patch") == "delete":
            made.pop(one[key], None)
        else:
            made[one[key]] = _merged(made.get(one[key]), one, strategic=True)
    return list(made.values())


def _apply_operations(found: Json, operations: list[Json]) -> Json:
    made = copy.deepcopy(found)
    for one in operations:
        words = [word.replace("~1", "/").replace("~0", "~") for word in one["path"].split("/")[1:]]
        parent: Any = made
        try:
            for word in words[:-1]:
                parent = parent[int(word)] if isinstance(parent, list) else parent[word]
            _apply_operation(one, parent, words[-1])
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _refused(one) from error
    return made


def _apply_operation(one: Json, parent: Any, word: str) -> None:
    if isinstance(parent, list):
        at = len(parent) if word == "-" else int(word)
        if one["op"] == "add":
            parent.insert(at, one["value"])
            return
        word = at  # type: ignore[assignment]
    match one["op"]:
        case "add":
            parent[word] = one["value"]
        case "replace":
            parent[word]  # raises where it does not exist
            parent[word] = one["value"]
        case "remove":
            del parent[word]
        case "test":
            if parent[word] != one["value"]:
                raise ValueError("the test failed")
        case operation:
            raise bad_request(f"unknown operation {operation}")


def _refused(operation: Json) -> ApiError:
    if operation["op"] == "test":
        return ApiError(422, "Invalid", f"testing value {operation['path']} failed: test failed")
    message = f'{operation["op"]} operation does not apply: doc is missing path: "{operation["path"]}": missing value'
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {message}")
