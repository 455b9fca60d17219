"""The one thing that DNS is for in a pod: to say no at once, and to know which name was asked for (RFC 1035, section 4).

Names are resolved by the proxy, outside. A question that comes here is from a program that does not use the proxy; nothing
of it leaves the pod, so a name cannot carry anything out.
"""

import re
import struct

MAX_DATAGRAM_BYTES = 4096
"""A question has a few dozen bytes, with padding (RFC 8467) some hundred."""

_HEADER = struct.Struct(">HHHHHH")
_QUERY_OPCODE_MASK, _RESPONSE, _RECURSION_DESIRED, _REFUSED = 0x7800, 0x8000, 0x0100, 5
_MAX_NAME_BYTES = 255
_STRANGE = re.compile(r"[^a-z0-9_.-]")


def read_question(datagram: bytes) -> tuple[str, bytes] | None:
    """The name that is asked for, and the answer that refuses it; None for what is no question."""
    if len(datagram) < _HEADER.size:
        return None
    identity, flags, questions, answers, _, _ = _HEADER.unpack_from(datagram)
    if flags & (_RESPONSE | _QUERY_OPCODE_MASK) or questions != 1 or answers:
        return None
    labels, at = [], _HEADER.size
    while at < len(datagram) and (size := datagram[at]):
        if size > 63 or at - _HEADER.size > _MAX_NAME_BYTES:
            return None
        labels.append(datagram[at + 1 : at + 1 + size])
        at += 1 + size
    end = at + 5
    if end > len(datagram) or not labels:
        return None
    name = _STRANGE.sub("?", b".".join(labels).decode("latin-1").lower())
    header = _HEADER.pack(identity, _RESPONSE | (flags & _RECURSION_DESIRED) | _REFUSED, 1, 0, 0, 0)
    return name, header + datagram[_HEADER.size : end]
