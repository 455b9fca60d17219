"""Label and field selectors of lists and watches."""

import re

from tests.fakes.kubernetes.api_errors import ApiError, Json, bad_request

_SET = re.compile(r"^(?P<key>[^\s!=]+)\s+(?P<verb>in|notin)\s+\((?P<values>[^)]*)\)$")
_FIELDS = {
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "status.phase",
    "type",
    "reason",
    "involvedObject.name",
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.uid",
}


def matches(found: Json, labels: str, fields: str) -> bool:
    """Whether an object is selected. labels, fields: as in the query; "" selects all. Raises ApiError 400."""
    own = found["metadata"].get("labels") or {}
    return all(_label_matches(own, part) for part in _split(labels)) and all(
        _field_matches(found, part) for part in _split(fields)
    )


def _split(text: str) -> list[str]:
    """The requirements, at commas that are outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _label_matches(own: dict[str, str], part: str) -> bool:
    if found := _SET.match(part):
        values = {value.strip() for value in found["values"].split(",")}
        return (own.get(found["key"]) in values) == (found["verb"] == "in")
    if "!=" in part:
        key, _, value = part.partition("!=")
        return own.get(key.strip()) != value.strip()
    if "=" in part:
        key, _, value = part.replace("==", "=").partition("=")
        return own.get(key.strip()) == value.strip()
    return part[1:].strip() not in own if part.startswith("!") else part in own


def _field_matches(found: Json, part: str) -> bool:
    wanted = "!=" not in part
    key, _, value = part.replace("!=", "=").replace("==", "=").partition("=")
    if key not in _FIELDS:
        raise _unknown_field(key)
    at: object = found
    for word in key.split("."):
        at = at.get(word, "") if isinstance(at, dict) else ""
    return (str(at) == value) == wanted


def _unknown_field(key: str) -> ApiError:
    return bad_request(f"field label not supported: {key}")
