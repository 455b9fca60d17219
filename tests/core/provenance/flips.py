"""One changed bit of a signed envelope: of its payload, its type or its signature."""

import base64
from copy import deepcopy
from random import Random
from typing import Any

FLIPS = 200
"""So many changed envelopes each verifier must refuse."""


def flipped(envelope: dict[str, Any], random: Random) -> dict[str, Any]:
    """The envelope, as JSON has it, with one bit changed. Bits of a type are those of its text, which stays ASCII."""
    changed, part = deepcopy(envelope), random.choice(["payload", "payloadType", "sig"])
    if part == "payloadType":
        data = bytearray(changed[part].encode())
        data[random.randrange(len(data))] ^= 1 << random.randrange(7)
        changed[part] = data.decode()
        return changed
    holder = changed if part == "payload" else changed["signatures"][0]
    data = bytearray(base64.b64decode(holder[part]))
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    holder[part] = base64.b64encode(data).decode()
    return changed
