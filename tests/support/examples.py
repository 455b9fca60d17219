"""How many examples a property is tried with."""

from hypothesis import settings

LEAST = 4


def examples(count: int) -> int:
    """So many in `make fuzz`, and the share of the everyday profile (tests/conftest.py) in `make test`."""
    return max(LEAST, count * settings().max_examples // 100)
