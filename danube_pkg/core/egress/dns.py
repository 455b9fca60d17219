"""DNS in a pod: each query is refused at once, and its name is read for the ledger (RFC 1035, section 4). Pure.

Names are resolved by the proxy. A query is from a program that does not use the proxy; nothing of it leaves the pod, so
data cannot be exfiltrated in names.
"""

import re
import struct

MAX_DATAGRAM_BYTES = 4096
"""A query has a few dozen bytes, with padding (RFC 8467) some hundred."""

_HEADER = struct.Struct(">HHHHHH")
_QUERY_OPCODE_MASK, _RESPONSE, _RECURSION_DESIRED, _REFUSED = 0x7800, 0x8000, 0x0100, 5
_MAX_NAME_BYTES = 255
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]")


def read_question(datagram: bytes) -> tuple[str, bytes] | None:
    """The name in a query, and the response that refuses it; None for anything that is not a query."""
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
    name = _NOT_IN_NAMES.sub("?", b".".join(labels).decode("latin-1").lower())
    header = _HEADER.pack(identity, _RESPONSE | (flags & _RECURSION_DESIRED) | _REFUSED, 1, 0, 0, 0)
    return name, header + datagram[_HEADER.size : end]
