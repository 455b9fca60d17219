"""The conditions of the whole server, collected from the parts that know them."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.health.conditions import Condition


class ConditionSource(Protocol):
    """A part of the server that may have something to report."""

    async def conditions(self) -> Sequence[Condition]:
        """What does not work at this moment. It must not raise."""
        ...


class ServerConditions:
    """The conditions of all sources. sources: in the order in which their conditions are shown."""

    def __init__(self, *sources: ConditionSource) -> None:
        self._sources = sources

    async def conditions(self) -> Sequence[Condition]:
        """The conditions of all sources, in their order."""
        return [condition for source in self._sources for condition in await source.conditions()]
