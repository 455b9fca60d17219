"""Reads documents of other systems, which may have any form: what is of another kind than expected counts as absent."""

from collections.abc import Mapping, Sequence
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping; empty for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """A list; one value alone stands for a list of it."""
    return value if isinstance(value, list) else [value] if value else []
