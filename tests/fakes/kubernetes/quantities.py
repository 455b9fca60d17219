"""Quantities of Kubernetes (`500m`, `64Mi`) as numbers."""

import re

_FACTORS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}
_QUANTITY = re.compile(r"^([0-9.]+)([A-Za-z]*)$")


def amount(text: str) -> float:
    """The number that a quantity stands for. Raises ValueError."""
    found = _QUANTITY.match(str(text))
    if found is None or found[2] not in _FACTORS:
        raise ValueError(f"not a quantity: {text}")
    return float(found[1]) * _FACTORS[found[2]]
