"""How a call of `cache()` ended."""

from enum import StrEnum

from danube_pkg.kit.records import Record


class CacheOutcome(StrEnum):
    """A restore ends with HIT by the key, FALLBACK by an older one, or MISS; a save with STORED, KNOWN for a key that
    is stored already, or MISS where it could not be stored. OFF: the pipeline has none."""

    HIT = "hit"
    FALLBACK = "fallback"
    MISS = "miss"
    STORED = "stored"
    KNOWN = "known"
    OFF = "off"


class CacheResult(Record):
    """key: of the entry; "" without one."""

    outcome: CacheOutcome
    key: str = ""
    size_bytes: int = 0
