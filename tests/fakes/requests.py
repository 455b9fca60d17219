"""Parses the requests that `core.runtimes.supervisor.encode_request` builds."""

import struct
from dataclasses import dataclass, field

from danube_pkg.core.runtimes.supervisor import PROTOCOL_VERSION


@dataclass(slots=True)
class Request:
    """A parsed request to a supervisor."""

    step_id: str = ""
    attempt: int = 0
    key: bytes = b""
    command: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    timeout_seconds: float = 0.0
    grace_seconds: float = 5.0
    from_offset: int = 0
    kill: bool = False
    shell: str = ""


class BadRequest(Exception):
    """A malformed request; the argument is the refusal's code."""


def parse_request(body: bytes) -> Request:
    """The request in a body without its header and checksum. Raises BadRequest."""
    found, version, at = Request(), 0, 0
    while at < len(body):
        if len(body) - at < 5:
            raise BadRequest("bad-request")
        tag, size = struct.unpack_from("<BI", body, at)
        value = body[at + 5 : at + 5 + size]
        if len(value) < size:
            raise BadRequest("bad-request")
        at += 5 + size
        number = int.from_bytes(value, "little")
        match tag:
            case 1:
                version = number
            case 2:
                found.step_id = value.decode()
            case 3:
                found.attempt = number
            case 4:
                found.key = value
            case 5:
                found.command = value.decode()
            case 6:
                name, text = value.decode().split("=", 1)
                found.environment[name] = text
            case 8:
                found.timeout_seconds = number / 1000
            case 10:
                found.from_offset = number
            case 11:
                found.grace_seconds = number / 1000
            case 12:
                found.kill = bool(number)
            case 13:
                found.shell = value.decode()
    if version != PROTOCOL_VERSION:
        raise BadRequest("unsupported-version")
    if not found.step_id or len(found.key) != 32:
        raise BadRequest("bad-request")
    return found
