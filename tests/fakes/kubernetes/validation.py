"""Validation of new objects and of changes to pods, with the sentences of `k8s.io/kubernetes/pkg/apis/core/validation`.

Only the fields that Danube writes are checked. All findings are reported at once.
"""

import base64
import binascii
import re
from typing import Any

from tests.fakes.kubernetes.api_errors import Json, invalid
from tests.fakes.kubernetes.quantities import amount

Finding = tuple[str, str, str]
"""(field, reason, sentence)."""

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_QUALIFIED = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SECRET_BYTES = 1024**2
_EPHEMERAL_FORBIDDEN = ("ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")


def required(field: str, detail: str = "") -> Finding:
    return field, "FieldValueRequired", f"Required value{': ' + detail if detail else ''}"


def wrong(field: str, value: Any, detail: str) -> Finding:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return field, "FieldValueInvalid", f"Invalid value: {text}: {detail}"


def check_new(made: Json) -> None:
    """Raises ApiError 422 for an object that is not valid."""
    found = _metadata(made)
    if made["kind"] == "Pod":
        found += _pod(made.get("spec") or {})
    elif made["kind"] == "Secret":
        found += _secret(made)
    _raise(made["kind"], made["metadata"].get("name", ""), found)


def check_ephemeral(pod: Json) -> None:
    """Raises ApiError 422 for ephemeral containers that are not valid."""
    spec = pod["spec"]
    volumes = {one["name"] for one in spec.get("volumes") or []}
    used = {one["name"] for key in ("initContainers", "containers") for one in spec.get(key) or []}
    found: list[Finding] = []
    for at, one in enumerate(spec.get("ephemeralContainers") or []):
        field = f"spec.ephemeralContainers[{at}]"
        found += _container(one, field, volumes, used)
        for name in _EPHEMERAL_FORBIDDEN:
            if one.get(name):
                sentence = "Forbidden: cannot be set for an Ephemeral Container"
                found.append((f"{field}.{name}", "FieldValueForbidden", sentence))
        for index, mount in enumerate(one.get("volumeMounts") or []):
            if mount.get("subPath"):
                place = f"{field}.volumeMounts[{index}].subPath"
                found.append((place, "FieldValueForbidden", "Forbidden: cannot be set for an Ephemeral Container"))
    _raise("Pod", pod["metadata"]["name"], found)


def check_pod_update(before: Json, after: Json) -> None:
    """Raises ApiError 422 where a field of the spec changes that may not: all but a few are immutable."""
    free = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")
    old, new = ({k: v for k, v in one["spec"].items() if k not in free} for one in (before, after))
    for one in (old, new):
        for key in ("containers", "initContainers"):
            one[key] = [{k: v for k, v in container.items() if k != "image"} for container in one.get(key) or []]
    if old != new:
        sentence = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing"
            " tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        )
        _raise("Pod", after["metadata"]["name"], [("spec", "FieldValueForbidden", sentence)])


def _raise(kind: str, name: str, found: list[Finding]) -> None:
    if found:
        raise invalid(kind, name, found)


def _metadata(made: Json) -> list[Finding]:
    metadata, found = made["metadata"], []
    name = metadata.get("name") or metadata.get("generateName", "")
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    elif metadata.get("name") and (not _SUBDOMAIN.match(name) or len(name) > 253):
        found.append(wrong("metadata.name", name, _SUBDOMAIN_RULE))
    for key, value in (metadata.get("labels") or {}).items():
        if not _QUALIFIED.match(key):
            found.append(
                wrong("metadata.labels", key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
            )
        if len(value) > 63:
            found.append(wrong("metadata.labels", value, "must be no more than 63 bytes"))
        elif not _LABEL_VALUE.match(value):
            found.append(wrong("metadata.labels", value, _VALUE_RULE))
    return found


def _pod(spec: Json) -> list[Finding]:
    found: list[Finding] = []
    volumes = [one.get("name", "") for one in spec.get("volumes") or []]
    for at, name in enumerate(volumes):
        if not _LABEL.match(name):
            found.append(wrong(f"spec.volumes[{at}].name", name, _LABEL_RULE))
        if name in volumes[:at]:
            found.append((f"spec.volumes[{at}].name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
    if not spec.get("containers"):
        found.append(required("spec.containers"))
    used: set[str] = set()
    for key in ("initContainers", "containers"):
        for at, one in enumerate(spec.get(key) or []):
            found += _container(one, f"spec.{key}[{at}]", set(volumes), used)
    if spec.get("ephemeralContainers"):
        sentence = "Forbidden: cannot be set on create"
        found.append(("spec.ephemeralContainers", "FieldValueForbidden", sentence))
    if spec.get("restartPolicy", "Always") not in _RESTART_POLICIES:
        sentence = f'Unsupported value: "{spec["restartPolicy"]}": supported values: "Always", "OnFailure", "Never"'
        found.append(("spec.restartPolicy", "FieldValueNotSupported", sentence))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        found.append(wrong("spec.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    return found


def _container(one: Json, field: str, volumes: set[str], used: set[str]) -> list[Finding]:
    """used: the names so far, to which its own is added."""
    found: list[Finding] = []
    name = one.get("name", "")
    if not name:
        found.append(required(f"{field}.name"))
    elif not _LABEL.match(name) or len(name) > 63:
        found.append(wrong(f"{field}.name", name, _LABEL_RULE))
    elif name in used:
        found.append((f"{field}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
    used.add(name)
    if not one.get("image"):
        found.append(required(f"{field}.image"))
    for at, mount in enumerate(one.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            place = f"{field}.volumeMounts[{at}].name"
            found.append((place, "FieldValueNotFound", f'Not found: "{mount.get("name")}"'))
    limits = (one.get("resources") or {}).get("limits") or {}
    for key, value in ((one.get("resources") or {}).get("requests") or {}).items():
        if key in limits and amount(value) > amount(limits[key]):
            place = f"{field}.resources.requests"
            found.append(wrong(place, value, f"must be less than or equal to {key} limit of {limits[key]}"))
    return found


def _secret(made: Json) -> list[Finding]:
    found: list[Finding] = []
    size = 0
    for key, value in (made.get("data") or {}).items():
        if not _DATA_KEY.match(key):
            rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            found.append(wrong(f"data[{key}]", key, rule))
        try:
            size += len(base64.b64decode(value, validate=True))
        except binascii.Error:
            found.append(wrong(f"data[{key}]", "<secret contents redacted>", "illegal base64 data"))
    if size > _SECRET_BYTES:
        found.append(("data", "FieldValueTooLong", f"Too long: may not be more than {_SECRET_BYTES} bytes"))
    return found
