"""Ports of the configuration: where its files come from, and where the applied state is stored."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.configuration.changes import Change
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.state import Applied, State


class ConfigurationStore(Protocol):
    """The state that was applied last, whole: a server knows it again while its repository is away."""

    async def load_state(self) -> tuple[State, Applied]: ...

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        """In one transaction. Ids are stable for life; what leaves is marked, not deleted. `state` is what they lead to."""
        ...


class ConfigurationSource(Protocol):
    """Where the configuration is written."""

    async def read(self, unless: str = "") -> ConfigurationFiles | None:
        """All of it as it is now, or None while its revision is `unless`; what cannot be parsed is in its findings.

        Raises Permanent, Unavailable when it cannot be reached.
        """
        ...

    def parse(self, files: Mapping[str, bytes]) -> ConfigurationFiles:
        """The same from files that somebody sent, as if they stood where the configuration is. Blocks: many take seconds."""
        ...
