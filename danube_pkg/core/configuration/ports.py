"""Ports of the configuration: the source of its files, and the store of the applied state."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.configuration.changes import Change
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.state import Applied, State


class ConfigurationStore(Protocol):
    """The whole state that was applied last, so that a server can start while the repository is unreachable."""

    async def load_state(self) -> tuple[State, Applied]:
        """The state and its revision; both are empty before the first apply."""
        ...

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        """Store the changes in one transaction. An object keeps its id for ever; removed ones are marked, not deleted.
        state: the result of the changes."""
        ...


class ConfigurationSource(Protocol):
    """Reads the files of the configuration."""

    async def read(self, unless: str = "") -> ConfigurationFiles | None:
        """All files as they are now, or None while the revision is `unless`; findings name what cannot be parsed.

        Raises Permanent or Unavailable where the source cannot be read.
        """
        ...

    def parse(self, files: Mapping[str, bytes]) -> ConfigurationFiles:
        """Parse files that a client sent, as if they were in the configuration repository. Blocks, for seconds if they
        are many."""
        ...
