"""Counts by label, for metrics: bounded, so that labels from outside cannot fill the memory."""

MAX_LABELS = 1000
"""More pipelines or images than one dashboard shows; further ones are counted together."""

OTHER = "(other)"


class Tally:
    """How often something happened, by a label."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}

    def count(self, label: str, by: float = 1) -> None:
        known = label if label in self._counts or len(self._counts) < MAX_LABELS else OTHER
        self._counts[known] = self._counts.get(known, 0) + by

    def by_label(self) -> dict[str, float]:
        """A copy of all counts."""
        return dict(self._counts)
