"""Whether the server can do its work, by subsystem: what is wrong, and since when."""

from collections.abc import Callable, Mapping, Sequence

from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.subsystems import Part, PartHealth
from danube_pkg.kit.clock import Clock
from danube_pkg.services.health.conditions import ConditionSource


class ServerReadiness:
    """The checks of the subsystems without which the server cannot do its work.

    checks: by subsystem, in the order in which they are shown; a new subsystem is one more entry. changed: called when
    a subsystem has become or stopped being usable; it must be quick.
    """

    def __init__(self, checks: Mapping[Part, ConditionSource], clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._states: dict[Part, PartHealth] = {}
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it when a subsystem has become or stopped being usable; it must be quick and must not raise."""
        self._listeners.append(listener)

    @property
    def known(self) -> Sequence[PartHealth]:
        """The states that were found last, without a new check."""
        return tuple(self._states.values())

    async def parts(self) -> Sequence[PartHealth]:
        """The state of each subsystem now."""
        return [self._state(part, await check.conditions()) for part, check in self._checks.items()]

    async def conditions(self) -> Sequence[Condition]:
        """Why the server is not ready; empty where it is."""
        return [condition for part in await self.parts() for condition in part.conditions]

    def _state(self, part: Part, conditions: Sequence[Condition]) -> PartHealth:
        """A state lasts as long as its references are the same: sentences with numbers in them change."""
        before, now = self._states.get(part), PartHealth(part, self._clock.now(), tuple(conditions))
        if before is not None and before.references == now.references:
            now = PartHealth(part, before.since, now.conditions)
        self._states[part] = now
        if before is not None and before.ok != now.ok:
            for listener in self._listeners:
                listener()
        return now
