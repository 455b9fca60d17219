"""Protocol 1 between the server and `danube-step`; `supervisor/protocol.h` is its other half and holds the layout.

Pure: bytes in, values out. A record counts only when its authenticator (keyed BLAKE2b-256, RFC 7693 section 2.9) is
right for the key of that step and attempt.
"""

import hmac
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated

from danube_pkg.core.errors import Defect, Invalid
from danube_pkg.kit.records import HIDDEN, Record, field

PROTOCOL_VERSION = 1
MAGIC = b"DNB1"
MAX_BODY_BYTES = 4 * 1024**2
MAX_FRAME_BYTES = 1024**2 + 8
HASH_BYTES = 32

_HEADER = struct.Struct("<BI")
_U64 = struct.Struct("<Q")
_STARTED = struct.Struct("<IQQIB")


class ProtocolViolation(Defect):
    """The supervisor sent something that the protocol does not define."""

    def __init__(self, what: str) -> None:
        super().__init__("supervisor-protocol", what)


class InauthenticRecord(Defect):
    """A record that the supervisor of that step and attempt has not written."""

    def __init__(self, what: str) -> None:
        super().__init__("record-not-authentic", what)


class StepSpec(Record):
    """A request about one attempt of a step."""

    step_id: str
    attempt: int
    key: Annotated[bytes, HIDDEN]
    command: Annotated[str | None, HIDDEN] = None
    """None to follow a step that was started before, and never start it."""
    environment: Annotated[Mapping[str, str], HIDDEN] = field(default_factory=dict)
    working_directory: str = ""
    shell: str = ""
    """Words of the program that gets `-c` and the command; "" for `/bin/sh -e`."""
    timeout_ms: int = 0
    """0 for no timeout."""
    grace_ms: int | None = None
    """Between TERM and KILL; None for what `danube-step idle` was started with, 5000 by default."""
    user: str = ""


class Started(Record):
    """The supervisor has the step. `fresh`: this request started it. Offsets count raw output bytes."""

    version: int
    held_from: int
    written: int
    pid: int
    fresh: bool


class Output(Record):
    """Raw output at an offset."""

    offset: int
    data: memoryview


class Heartbeat(Record):
    """The supervisor is running; `written` bytes have been printed so far."""

    written: int


class Ended(Record):
    """The record and its authenticator, not verified yet."""

    payload: bytes


class Refused(Record):
    """Why the supervisor refused the request."""

    code: str
    message: str


Frame = Started | Output | Heartbeat | Ended | Refused


class StepRecord(Record):
    """How an attempt ended. `exit_code` is None where a signal ended it or it did not start."""

    step_id: str
    attempt: int
    exit_code: int | None
    signal: int | None
    timed_out: bool
    killed: bool
    start_error: str
    wall_us: int
    user_us: int
    system_us: int
    peak_memory_bytes: int
    output_bytes: int
    output_hash: bytes
    leftovers: int


def encode_request(spec: StepSpec, from_offset: int, *, kill: bool = False) -> bytes:
    """The request as `danube-step` reads it. Raises Invalid when command and environment are too large."""
    fields: list[tuple[int, bytes]] = [
        (1, struct.pack("<I", PROTOCOL_VERSION)),
        (2, spec.step_id.encode()),
        (3, struct.pack("<I", spec.attempt)),
        (4, spec.key),
        (8, _U64.pack(spec.timeout_ms)),
        (10, _U64.pack(from_offset)),
    ]
    if spec.grace_ms is not None:
        fields.append((11, _U64.pack(spec.grace_ms)))
    if spec.command is not None:
        fields.append((5, spec.command.encode()))
    fields += [(6, f"{name}={value}".encode()) for name, value in spec.environment.items()]
    if spec.working_directory:
        fields.append((7, spec.working_directory.encode()))
    if spec.shell:
        fields.append((13, spec.shell.encode()))
    if spec.user:
        fields.append((9, spec.user.encode()))
    if kill:
        fields.append((12, b"\x01"))
    body = b"".join(_HEADER.pack(tag, len(value)) + value for tag, value in fields)
    if len(body) > MAX_BODY_BYTES:
        raise Invalid(
            "step-too-large",
            f"command and environment take {len(body)} bytes, the limit is {MAX_BODY_BYTES}",
            hint="put the script into a file of the repository and run that",
        )
    return MAGIC + struct.pack("<I", len(body)) + body + blake2b(body, digest_size=HASH_BYTES).digest()


def encode_ack(offset: int) -> bytes:
    """The acknowledgement by which the supervisor may drop everything before this raw offset."""
    return b"A" + _U64.pack(offset)


class FrameParser:
    """Parses a stream of frames incrementally. Output frames are returned in parts, as soon as bytes of them arrive."""

    def __init__(self) -> None:
        self._held = b""
        self._data_left = 0
        self._data_offset = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that these bytes complete. Output is a view into `data`: use it before the next call."""
        return list(self._frames(self._held + data if self._held else data))

    def _frames(self, data: bytes) -> Iterator[Frame]:
        view, at, end = memoryview(data), 0, len(data)
        while True:
            if self._data_left and at < end:
                part = view[at : min(end, at + self._data_left)]
                yield Output(self._data_offset, part)
                at += len(part)
                self._data_offset += len(part)
                self._data_left -= len(part)
            if end - at < _HEADER.size:
                break
            kind, size = _HEADER.unpack_from(data, at)
            if size > MAX_FRAME_BYTES:
                raise ProtocolViolation(f"a frame of {size} bytes")
            if kind == ord("D"):
                if end - at < _HEADER.size + 8:
                    break
                if size < 8:
                    raise ProtocolViolation("an output frame without an offset")
                (self._data_offset,) = _U64.unpack_from(data, at + _HEADER.size)
                self._data_left = size - 8
                at += _HEADER.size + 8
                continue
            if end - at < _HEADER.size + size:
                break
            yield _frame(kind, data[at + _HEADER.size : at + _HEADER.size + size])
            at += _HEADER.size + size
        self._held = bytes(view[at:])


def _frame(kind: int, payload: bytes) -> Frame:
    if kind == ord("S") and len(payload) == _STARTED.size:
        version, held_from, written, pid, fresh = _STARTED.unpack(payload)
        return Started(version, held_from, written, pid, bool(fresh))
    if kind == ord("H") and len(payload) == _U64.size:
        return Heartbeat(_U64.unpack(payload)[0])
    if kind == ord("E") and len(payload) > HASH_BYTES:
        return Ended(payload)
    if kind == ord("R") and b"\0" in payload:
        code, message = payload.split(b"\0", 1)
        return Refused(code.decode(errors="replace"), message.decode(errors="replace"))
    raise ProtocolViolation(f"a frame {chr(kind)!r} of {len(payload)} bytes")


def verify_record(payload: bytes, key: bytes, step_id: str, attempt: int) -> StepRecord:
    """The record, if this step's supervisor wrote it for this attempt. Raises InauthenticRecord."""
    body, authenticator = payload[:-HASH_BYTES], payload[-HASH_BYTES:]
    if not hmac.compare_digest(blake2b(body, key=key, digest_size=HASH_BYTES).digest(), authenticator):
        raise InauthenticRecord("the authenticator does not match")
    fields = _fields(body)
    if fields.get(2) != step_id.encode() or _number(fields, 3) != attempt:
        raise InauthenticRecord("the record is of another step or attempt")
    if _number(fields, 1) != PROTOCOL_VERSION or 13 not in fields or len(fields.get(14, b"")) != HASH_BYTES:
        raise InauthenticRecord("the record is incomplete")
    return StepRecord(
        step_id=step_id,
        attempt=attempt,
        exit_code=_number(fields, 4) if 4 in fields else None,
        signal=_number(fields, 5) if 5 in fields else None,
        timed_out=bool(_number(fields, 6)),
        killed=bool(_number(fields, 7)),
        start_error=fields.get(8, b"").decode(errors="replace"),
        wall_us=_number(fields, 9),
        user_us=_number(fields, 10),
        system_us=_number(fields, 11),
        peak_memory_bytes=_number(fields, 12),
        output_bytes=_number(fields, 13),
        output_hash=fields[14],
        leftovers=_number(fields, 15),
    )


def _fields(body: bytes) -> dict[int, bytes]:
    fields, at = {}, 0
    while at < len(body):
        if len(body) - at < _HEADER.size:
            raise InauthenticRecord("the record is truncated")
        tag, size = _HEADER.unpack_from(body, at)
        at += _HEADER.size
        if size > len(body) - at:
            raise InauthenticRecord("the record is truncated")
        fields[tag] = body[at : at + size]
        at += size
    return fields


def _number(fields: Mapping[int, bytes], tag: int) -> int:
    return int.from_bytes(fields.get(tag, b""), "little")
