"""Failures as the API server reports them: a `Status` object with the sentences of the real one."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
"""A Kubernetes object, or a part of one, as it is sent."""


class ApiError(Exception):
    """A refusal. status: the `Status` object. code: the HTTP status. headers: further headers of the response."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.headers: dict[str, str] = {}
        self.status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def not_found(resource: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource} "{name}" not found', {"name": name, "kind": resource})


def already_exists(resource: str, name: str) -> ApiError:
    details = {"name": name, "kind": resource}
    return ApiError(409, "AlreadyExists", f'{resource} "{name}" already exists', details)


def conflict(resource: str, name: str, cause: str = "") -> ApiError:
    cause = cause or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {resource} "{name}": {cause}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": resource})


def forbidden(resource: str, name: str, cause: str) -> ApiError:
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {cause}', {"name": name, "kind": resource})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def expired(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_many_requests(retry_seconds: int) -> ApiError:
    message = "the server has received too many requests and has asked us to try again later"
    made = ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_seconds})
    made.headers["Retry-After"] = str(retry_seconds)
    return made


def internal(message: str) -> ApiError:
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)


def invalid(kind: str, name: str, findings: Sequence[tuple[str, str, str]]) -> ApiError:
    """findings: (field, reason, sentence), as `field.Error` of apimachinery has them."""
    sentences = [f"{field}: {sentence}" for field, _, sentence in findings]
    text = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    causes = [{"reason": reason, "message": sentence, "field": field} for field, reason, sentence in findings]
    details = {"name": name, "kind": kind, "causes": causes}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)
