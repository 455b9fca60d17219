"""Identifiers as text that sort by time: ULIDs (https://github.com/ulid/spec) in lower case, 26 characters."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def sortable_id(now: float, randomness: bytes) -> str:
    """`now` in Unix seconds, ten random bytes → 26 characters of Crockford's base 32."""
    if len(randomness) != 10:
        raise ValueError(f"ten random bytes are needed, not {len(randomness)}")
    number = (int(now * 1000) << 80) | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
